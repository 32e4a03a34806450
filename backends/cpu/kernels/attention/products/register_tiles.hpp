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
// A [rows, depth], B [depth, cols], C [rows, cols].  M::fma_terms multiplies
// words of A and B; they may hold two narrow numbers each.
struct ProductShape {
  int rows = 0;
  int64_t cols = 0;  // a multiple of 16
  int64_t depth = 0;
  int64_t a_stride = 0;
  int64_t b_stride = 0;
  int64_t c_stride = 0;
};

template <typename V>
struct FloatWords {
  using F = typename V::F;
  static F fma_terms(F a, F b, F sum) { return V::fma(a, b, sum); }
};

template <typename V, typename M = FloatWords<V>>
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
    const auto rows = [&]<int kRows>() {
      for (; row + kRows <= shape.rows; row += kRows) {
        tile<kRows, kVecs>(shape, a + row * shape.a_stride, b,
                           c + row * shape.c_stride,
                           alpha == nullptr ? nullptr : alpha + row);
      }
    };
    rows.template operator()<V::kTileRows>();
    rows.template operator()<4>();
    rows.template operator()<1>();
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
          sum[i][j] = M::fma_terms(left, right[j], sum[i][j]);
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

// The rows of codes that a product over few rows reads in place, and those that
// the next one will, which are fetched meanwhile: blocks lie anywhere, so the
// hardware does not foresee them.
struct CodeRows {
  const std::byte* const* row;   // [kKeyTile], num_keys of them used
  const std::byte* const* next;  // [kKeyTile]; null if there is none
  int num_keys;
  int64_t head_dim;
  int64_t q_stride;  // f32 words from one row of queries to the next
};

// The same products for at most V::kFewRows rows, whose B is codes of kDtype.
// Rows up to the next power of two are read and written.
template <typename V, uint32_t kDtype>
class FewRows {
 public:
  using F = typename V::F;
  static constexpr int kMaxRows = V::kFewRows;

  // scores[row][key] = q[row] . codes[key]; rows of q are zero past head_dim.
  static void scores(int rows, const CodeRows& keys, const float* q,
                     float* out) {
    if (rows <= 1) return dots<1>(keys, q, out);
    if (rows <= 2) return dots<2>(keys, q, out);
    dots<kMaxRows>(keys, q, out);
  }

  // out[row] = alpha[row] * out[row] + sum over keys of p[row][key] *
  // codes[key].
  static void weighted_sum(int rows, const CodeRows& values, const float* p,
                           float* out, const float* alpha) {
    if (rows <= 1) return sums<1>(values, p, out, alpha);
    if (rows <= 2) return sums<2>(values, p, out, alpha);
    sums<kMaxRows>(values, p, out, alpha);
  }

 private:
  static constexpr int64_t kCodeBytes =
      kDtype == TSR_F32 ? 4 : (kDtype == TSR_I8 ? 1 : 2);

  // d .. d + 15 of a row of codes, or as many as there are.
  static F codes(const std::byte* row, int64_t d, int64_t head_dim) {
    return d + V::kLanes <= head_dim
               ? V::template load<kDtype>(row, d)
               : V::template load_n<kDtype>(row, d,
                                            static_cast<int>(head_dim - d));
  }

  // From L2 into L1, a few keys before they are multiplied.
  static constexpr int kKeysAhead = 8;
  [[gnu::always_inline]] static void fetch_soon(const CodeRows& codes, int key,
                                                int64_t begin, int64_t end) {
    if (key + kKeysAhead >= kKeyTile) return;
    const std::byte* row = codes.row[key + kKeysAhead];
    for (int64_t i = begin * kCodeBytes; i < end * kCodeBytes; i += 64) {
      __builtin_prefetch(row + i);
    }
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void fetch(const std::byte* row, int64_t begin,
                                           int64_t end) {
    for (int64_t i = begin * kCodeBytes; i < end * kCodeBytes; i += 64) {
      V::prefetch(row + i);
    }
  }

  template <int kRows>
  static void dots(const CodeRows& keys, const float* q, float* out) {
    constexpr int kKeys = V::kFewSums / kRows;
    const int64_t dim = padded_dim(keys.head_dim);
    for (int key = 0; key < keys.num_keys; key += kKeys) {
      for (int i = 0; i < kKeys; ++i) {
        fetch_soon(keys, key + i, 0, keys.head_dim);
      }
      F sum[V::kFewSums];
      TSR_UNROLL
      for (F& s : sum) s = V::zero();
      for (int64_t d = 0; d < dim; d += V::kLanes) {
        F left[kRows];
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          left[r] = V::template load<TSR_F32>(q, r * keys.q_stride + d);
        }
        TSR_UNROLL
        for (int i = 0; i < kKeys; ++i) {
          const F right = codes(keys.row[key + i], d, keys.head_dim);
          TSR_UNROLL
          for (int r = 0; r < kRows; ++r) {
            sum[r * kKeys + i] = V::fma(left[r], right, sum[r * kKeys + i]);
          }
        }
      }
      float dot[V::kFewSums];
      V::sum_each(sum, dot);
      for (int r = 0; r < kRows; ++r) {
        for (int i = 0; i < kKeys; ++i) {
          out[r * kKeyTile + key + i] = dot[r * kKeys + i];
        }
      }
      if (keys.next == nullptr) continue;
      for (int i = 0; i < kKeys; ++i) {
        fetch(keys.next[key + i], 0, keys.head_dim);
      }
    }
  }

  template <int kRows>
  static void sums(const CodeRows& values, const float* p, float* out,
                   const float* alpha) {
    constexpr int kVecs = V::kFewSums / kRows < 8 ? V::kFewSums / kRows : 8;
    constexpr int64_t kStep = kVecs * V::kLanes;
    int64_t d = 0;
    for (; d + kStep <= values.head_dim; d += kStep) {
      columns<kRows, kVecs>(values, d, p, out, alpha);
    }
    for (; d < values.head_dim; d += V::kLanes) {
      columns<kRows, 1>(values, d, p, out, alpha);
    }
  }

  // Columns d .. d + 16 kVecs - 1 of the weighted sum.
  template <int kRows, int kVecs>
  static void columns(const CodeRows& values, int64_t d, const float* p,
                      float* out, const float* alpha) {
    F sum[kRows][kVecs];
    TSR_UNROLL
    for (auto& row : sum) {
      TSR_UNROLL
      for (F& s : row) s = V::zero();
    }
    for (int key = 0; key < values.num_keys; ++key) {
      fetch_soon(values, key, d, d + kVecs * V::kLanes);
      F right[kVecs];
      TSR_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        right[j] = codes(values.row[key], d + j * V::kLanes, values.head_dim);
      }
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const F left = V::set1(p[r * kKeyTile + key]);
        TSR_UNROLL
        for (int j = 0; j < kVecs; ++j) {
          sum[r][j] = V::fma(left, right[j], sum[r][j]);
        }
      }
      if (values.next != nullptr) {
        fetch(values.next[key], d, d + kVecs * V::kLanes);
      }
    }
    TSR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TSR_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        const int64_t at = r * padded_dim(values.head_dim) + d + j * V::kLanes;
        const F old = V::template load<TSR_F32>(out, at);
        V::template store<TSR_F32>(out, at,
                                   V::fma(old, V::set1(alpha[r]), sum[r][j]));
      }
    }
  }
};

}  // namespace tessera::cpu
