// SPDX-License-Identifier: Apache-2.0
//
// The two matrix products of attention in f32, for many rows (operands packed,
// register tiles) and for few (codes read in place).

#pragma once

#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/ops/simd_row.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

namespace tessera::cpu {

// C = A B, or C = alpha C + A B with alpha per row, of row-major f32 matrices:
// A [rows, depth], B [depth, cols], C [rows, cols].
struct ProductShape {
  int rows = 0;
  int64_t cols = 0;  // a multiple of 16
  int64_t depth = 0;
  int64_t a_stride = 0;
  int64_t b_stride = 0;
  int64_t c_stride = 0;
};

template <typename V>
class Product {
 public:
  using F = typename V::F;

  static void run(const ProductShape& shape, const float* a, const float* b,
                  float* c, const float* alpha) {
    int64_t col = 0;
    constexpr int64_t kWide = V::kTileVecs * V::kLanes;
    for (; col + kWide <= shape.cols; col += kWide) {
      columns<V::kTileVecs>(shape, a, b + col, c + col, alpha);
    }
    for (; col < shape.cols; col += V::kLanes) {
      columns<1>(shape, a, b + col, c + col, alpha);
    }
  }

 private:
  template <int kVecs>
  static void columns(const ProductShape& shape, const float* a, const float* b,
                      float* c, const float* alpha) {
    int row = 0;
    for (; row + V::kTileRows <= shape.rows; row += V::kTileRows) {
      tile<V::kTileRows, kVecs>(shape, a + row * shape.a_stride, b,
                                c + row * shape.c_stride,
                                alpha == nullptr ? nullptr : alpha + row);
    }
    for (; row < shape.rows; ++row) {
      tile<1, kVecs>(shape, a + row * shape.a_stride, b,
                     c + row * shape.c_stride,
                     alpha == nullptr ? nullptr : alpha + row);
    }
  }

  template <int kRows, int kVecs>
  static void tile(const ProductShape& shape, const float* a, const float* b,
                   float* c, const float* alpha) {
    F sum[kRows][kVecs];
    TSR_UNROLL
    for (auto& row : sum) {
      TSR_UNROLL
      for (F& s : row) s = V::zero();
    }
    for (int64_t k = 0; k < shape.depth; ++k) {
      F right[kVecs];
      TSR_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        right[j] =
            V::template load<TSR_F32>(b, k * shape.b_stride + j * V::kLanes);
      }
      TSR_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const F left = V::set1(a[i * shape.a_stride + k]);
        TSR_UNROLL
        for (int j = 0; j < kVecs; ++j) {
          sum[i][j] = V::fma(left, right[j], sum[i][j]);
        }
      }
    }
    TSR_UNROLL
    for (int i = 0; i < kRows; ++i) {
      TSR_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        const int64_t at = i * shape.c_stride + j * V::kLanes;
        if (alpha != nullptr) {
          const F old = V::template load<TSR_F32>(c, at);
          sum[i][j] = V::fma(old, V::set1(alpha[i]), sum[i][j]);
        }
        V::template store<TSR_F32>(c, at, sum[i][j]);
      }
    }
  }
};

// The same products for at most V::kFewRows rows, whose B is codes of kDtype
// that are read where they lie, each once per product.
template <typename V, uint32_t kDtype>
class FewRows {
 public:
  using F = typename V::F;
  static constexpr int kMaxRows = V::kFewRows;

  // scores[row][key] = q[row] . k[key]; q has rows of padded_dim, zero at the
  // end.  Rows up to the next power of two are read and written.
  static void scores(int rows, int64_t head_dim, const float* q,
                     const std::byte* const* k, int num_keys, float* out) {
    if (rows <= 1) return dots<1>(head_dim, q, k, num_keys, out);
    if (rows <= 2) return dots<2>(head_dim, q, k, num_keys, out);
    if (rows <= 4) return dots<4>(head_dim, q, k, num_keys, out);
    dots<kMaxRows>(head_dim, q, k, num_keys, out);
  }

  // out[row] = alpha[row] * out[row] + sum over keys of p[row][key] * v[key].
  static void weighted_sum(int rows, int64_t head_dim, const float* p,
                           const std::byte* const* v, int num_keys, float* out,
                           const float* alpha) {
    const Sum sum{head_dim, p, v, num_keys, out, alpha};
    if (rows <= 1) return sum.template run<1>();
    if (rows <= 2) return sum.template run<2>();
    if (rows <= 4) return sum.template run<4>();
    sum.template run<kMaxRows>();
  }

 private:
  // d .. d + 15 of a row of codes, or as many as there are.
  static F codes(const std::byte* row, int64_t d, int64_t head_dim) {
    return d + V::kLanes <= head_dim
               ? V::template load<kDtype>(row, d)
               : V::template load_n<kDtype>(row, d,
                                            static_cast<int>(head_dim - d));
  }

  template <int kRows>
  static void dots(int64_t head_dim, const float* q, const std::byte* const* k,
                   int num_keys, float* out) {
    constexpr int kKeys = V::kFewSums / kRows;
    for (int key = 0; key < num_keys; key += kKeys) {
      const std::byte* row[kKeys];
      TSR_UNROLL
      for (int i = 0; i < kKeys; ++i) {
        row[i] = k[key + i < num_keys ? key + i : num_keys - 1];
      }
      F sum[V::kFewSums];
      TSR_UNROLL
      for (F& s : sum) s = V::zero();
      const int64_t dim = padded_dim(head_dim);
      for (int64_t d = 0; d < dim; d += V::kLanes) {
        F left[kRows];
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          left[r] = V::template load<TSR_F32>(q, r * dim + d);
        }
        TSR_UNROLL
        for (int i = 0; i < kKeys; ++i) {
          const F right = codes(row[i], d, head_dim);
          TSR_UNROLL
          for (int r = 0; r < kRows; ++r) {
            sum[r * kKeys + i] = V::fma(left[r], right, sum[r * kKeys + i]);
          }
        }
      }
      float dot[V::kFewSums];
      V::sum_each(sum, dot);
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        TSR_UNROLL
        for (int i = 0; i < kKeys; ++i) {
          out[r * kKeyTile + key + i] = dot[r * kKeys + i];
        }
      }
    }
  }

  struct Sum {
    int64_t head_dim;
    const float* p;
    const std::byte* const* v;
    int num_keys;
    float* out;
    const float* alpha;

    template <int kRows>
    void run() const {
      constexpr int kVecs = V::kFewSums / kRows < 8 ? V::kFewSums / kRows : 8;
      int64_t d = 0;
      for (; d + kVecs * V::kLanes <= head_dim; d += kVecs * V::kLanes) {
        columns<kRows, kVecs>(d);
      }
      for (; d < head_dim; d += V::kLanes) columns<kRows, 1>(d);
    }

    template <int kRows, int kVecs>
    void columns(int64_t d) const {
      F sum[kRows][kVecs];
      TSR_UNROLL
      for (auto& row : sum) {
        TSR_UNROLL
        for (F& s : row) s = V::zero();
      }
      for (int key = 0; key < num_keys; ++key) {
        F right[kVecs];
        TSR_UNROLL
        for (int j = 0; j < kVecs; ++j) {
          right[j] = codes(v[key], d + j * V::kLanes, head_dim);
        }
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const F left = V::set1(p[r * kKeyTile + key]);
          TSR_UNROLL
          for (int j = 0; j < kVecs; ++j) {
            sum[r][j] = V::fma(left, right[j], sum[r][j]);
          }
        }
      }
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        TSR_UNROLL
        for (int j = 0; j < kVecs; ++j) {
          const int64_t at = r * padded_dim(head_dim) + d + j * V::kLanes;
          const F old = V::template load<TSR_F32>(out, at);
          V::template store<TSR_F32>(out, at,
                                     V::fma(old, V::set1(alpha[r]), sum[r][j]));
        }
      }
    }
  };
};

}  // namespace tessera::cpu
