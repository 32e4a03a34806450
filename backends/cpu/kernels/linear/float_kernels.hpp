// SPDX-License-Identifier: Apache-2.0
//
// The float kernels, written once over the vector types of kernels/ops.
//
// Few rows: dot products straight from the stored codes, so that a weight is
// read once.  Any rows: W is decoded a panel at a time and multiplied by
// register tiles, so that decoding costs little for many rows.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/tile_scalar.hpp"

namespace tessera::cpu {

// Where the parts of a packed tile lie.
struct TileParts {
  const uint8_t* codes;
  const float* scales;  // [groups, 16]
  const float* zeros;   // [groups, 16] or null
};

[[maybe_unused]] static TileParts tile_parts(const LinearWeight& weight,
                                             int64_t n) {
  const int64_t tile = n / kTileCols;
  const int64_t blocked = tile * weight.shape.num_groups * kTileCols;
  return {reinterpret_cast<const uint8_t*>(weight.codes) +
              tile * weight.shape.tile_bytes,
          weight.scales + blocked,
          weight.zeros == nullptr ? nullptr : weight.zeros + blocked};
}

[[maybe_unused]] static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// How 64 bytes of codes become columns; kMinusEight: zero points are 8.
template <typename V>
struct I8Codes {
  static constexpr int kColumns = 4;
  template <bool kMinusEight>
  static void unpack(const uint8_t* codes, typename V::F (&out)[kColumns]) {
    Tile<V>::unpack_i8(codes, out);
  }
};
template <typename V>
struct U4Codes {
  static constexpr int kColumns = 8;
  template <bool kMinusEight>
  static void unpack(const uint8_t* codes, typename V::F (&out)[kColumns]) {
    Tile<V>::template unpack_u4<kMinusEight>(codes, out);
  }
};

// ---- Few rows --------------------------------------------------------------

template <typename V, uint32_t kDtype>
class DenseDot {
  using F = typename V::F;
  static constexpr int kCols = Tile<V>::kDenseRows;
  static constexpr int64_t kElementBytes = kDtype == TSR_F32 ? 4 : 2;
  // Hardware prefetchers stop at the end of a 4 KiB page, which comes soon in
  // several short rows at once.
  static constexpr int64_t kPrefetchBytes = 2048;

 public:
  static void run(const FloatWork& work) {
    int64_t m = 0;
    constexpr int kRows = Tile<V>::kRowsAtOnce;
    for (; m + kRows <= work.M; m += kRows) columns<kRows>(work, m);
    for (; m < work.M; ++m) columns<1>(work, m);
  }

 private:
  template <int kRows>
  static void columns(const FloatWork& work, int64_t m) {
    int64_t j = 0;
    for (; j + kCols <= work.num_cols; j += kCols) {
      dot<kRows, kCols>(work, m, j);
    }
    for (; j < work.num_cols; ++j) dot<kRows, 1>(work, m, j);
  }

  template <int kRows, int kWidth>
  static void dot(const FloatWork& work, int64_t m, int64_t j) {
    const LinearWeight& weight = *work.weight;
    const auto* first = static_cast<const char*>(weight.raw_codes.data);
    const int64_t row_bytes = static_cast<int64_t>(weight.raw_codes.row_bytes);
    const char* w = first + (work.n_begin + j) * row_bytes;
    const float* x = work.x + m * work.x_stride;
    const int64_t K = weight.shape.K;

    F acc[kRows][kWidth];
    for (auto& row : acc) {
      for (F& sum : row) sum = V::zero();
    }
    for (int64_t k = 0; k < K; k += V::kLanes) {
      const int64_t left = K - k;
      F row[kWidth];
      for (int c = 0; c < kWidth; ++c) {
        V::prefetch(w + c * row_bytes + k * kElementBytes + kPrefetchBytes);
        row[c] = left >= V::kLanes
                     ? V::template load<kDtype>(w + c * row_bytes, k)
                     : V::template load_n<kDtype>(w + c * row_bytes, k,
                                                  static_cast<int>(left));
      }
      for (int r = 0; r < kRows; ++r) {
        const F in = V::template load<TSR_F32>(x + r * work.x_stride, k);
        for (int c = 0; c < kWidth; ++c) {
          acc[r][c] = V::fma(in, row[c], acc[r][c]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kWidth; ++c) {
        work.sums[(m + r) * kChunkCols + j + c] = V::sum(acc[r][c]);
      }
    }
  }
};

template <typename V, template <typename> typename Codes>
class TileDot {
  using F = typename V::F;
  static constexpr int kColumns = Codes<V>::kColumns;
  static constexpr int kChains = 4;  // hides the latency of an FMA

 public:
  static void run(const FloatWork& work) {
    if (work.weight->zeros == nullptr) {
      rows<false>(work);
    } else {
      rows<true>(work);
    }
  }

 private:
  template <bool kHasZeros>
  static void rows(const FloatWork& work) {
    constexpr int kRows = Tile<V>::kRowsAtOnce;
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      int64_t m = 0;
      for (; m + kRows <= work.M; m += kRows) {
        tile<kHasZeros, kRows>(work, m, j);
      }
      for (; m < work.M; ++m) tile<kHasZeros, 1>(work, m, j);
    }
  }

  template <bool kHasZeros, int kRows>
  static void tile(const FloatWork& work, int64_t m, int64_t j) {
    const WeightShape& shape = work.weight->shape;
    const TileParts parts = tile_parts(*work.weight, work.n_begin + j);
    const float* x = work.x + m * work.x_stride;

    F total[kRows];
    for (F& sum : total) sum = V::zero();
    for (int64_t g = 0; g < shape.num_groups; ++g) {
      const int64_t begin = g * shape.group_size;
      const int64_t end = smaller(begin + shape.group_size, shape.K);
      const F zero = kHasZeros
                         ? V::template load<TSR_F32>(parts.zeros, g * kTileCols)
                         : V::zero();
      F acc[kRows][kChains];
      for (auto& row : acc) {
        for (F& sum : row) sum = V::zero();
      }
      for (int64_t k = begin; k < end; k += kColumns) {
        F w[kColumns];
        Codes<V>::template unpack<!kHasZeros>(parts.codes + k / kColumns * 64,
                                              w);
        for (int c = 0; c < kColumns; ++c) {
          if constexpr (kHasZeros) w[c] = V::sub(w[c], zero);
          for (int r = 0; r < kRows; ++r) {
            const F in = V::set1(x[r * work.x_stride + k + c]);
            acc[r][c % kChains] = V::fma(in, w[c], acc[r][c % kChains]);
          }
        }
      }
      const F scale = V::template load<TSR_F32>(parts.scales, g * kTileCols);
      for (int r = 0; r < kRows; ++r) {
        const F sum =
            V::add(V::add(acc[r][0], acc[r][1]), V::add(acc[r][2], acc[r][3]));
        total[r] = V::fma(sum, scale, total[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      V::template store<TSR_F32>(work.sums, (m + r) * kChunkCols + j, total[r]);
    }
  }
};

// ---- Any rows --------------------------------------------------------------

// A panel holds [kChunkCols / 16][kPanelDepth][16] decoded weights; columns of
// K up to a multiple of 16 and rows of W up to a whole tile are zero.
template <typename V>
class Panel {
  using F = typename V::F;

 public:
  static void run(const FloatWork& work) {
    const int64_t K = work.weight->shape.K;
    for (int64_t m = 0; m < work.M; ++m) {
      for (int64_t j = 0; j < kChunkCols; j += V::kLanes) {
        V::template store<TSR_F32>(work.sums, m * kChunkCols + j, V::zero());
      }
    }
    for (int64_t k = 0; k < K; k += kPanelDepth) {
      const int64_t depth = smaller(kPanelDepth, K - k);
      for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
        decode(work, j, k, depth, work.panel + j * kPanelDepth);
      }
      multiply(work, k, (depth + 15) / 16 * 16);
    }
  }

 private:
  // ---- Decoding: 16 rows of W, columns k .. k + depth - 1.

  static void decode(const FloatWork& work, int64_t j, int64_t k, int64_t depth,
                     float* out) {
    const LinearWeight& weight = *work.weight;
    const int64_t n = work.n_begin + j;
    if (weight.shape.layout == Layout::kI8Tiles) {
      return decode_tile<I8Codes>(weight, n, k, depth, out);
    }
    if (weight.shape.layout == Layout::kU4Tiles) {
      return decode_tile<U4Codes>(weight, n, k, depth, out);
    }
    const bool dense = weight.has_dense_rows();
    if (dense && weight.shape.format == TSR_WEIGHT_F32) {
      decode_rows<TSR_F32>(weight, n, k, depth, out);
    } else if (dense && weight.shape.format == TSR_WEIGHT_F16) {
      decode_rows<TSR_F16>(weight, n, k, depth, out);
    } else if (dense) {
      decode_rows<TSR_BF16>(weight, n, k, depth, out);
    } else {
      decode_any(weight, n, k, depth, out);
    }
  }

  template <template <typename> typename Codes>
  static void decode_tile(const LinearWeight& weight, int64_t n, int64_t k,
                          int64_t depth, float* out) {
    if (weight.zeros == nullptr) {
      decode_tile<Codes, false>(weight, n, k, depth, out);
    } else {
      decode_tile<Codes, true>(weight, n, k, depth, out);
    }
  }
  template <template <typename> typename Codes, bool kHasZeros>
  static void decode_tile(const LinearWeight& weight, int64_t n, int64_t k,
                          int64_t depth, float* out) {
    constexpr int kColumns = Codes<V>::kColumns;
    const TileParts parts = tile_parts(weight, n);
    const int64_t end = k + depth;
    int64_t i = k;
    while (i < end) {
      const int64_t g = i / weight.shape.group_size;
      const int64_t group_end = smaller((g + 1) * weight.shape.group_size, end);
      const F scale = V::template load<TSR_F32>(parts.scales, g * kTileCols);
      const F zero = kHasZeros
                         ? V::template load<TSR_F32>(parts.zeros, g * kTileCols)
                         : V::zero();
      for (; i < group_end; i += kColumns) {
        F w[kColumns];
        Codes<V>::template unpack<!kHasZeros>(parts.codes + i / kColumns * 64,
                                              w);
        for (int c = 0; c < kColumns; ++c) {
          if constexpr (kHasZeros) w[c] = V::sub(w[c], zero);
          V::template store<TSR_F32>(out, (i - k + c) * 16,
                                     V::mul(w[c], scale));
        }
      }
    }
    clear(out, i - k);
  }

  template <uint32_t kDtype>
  static void decode_rows(const LinearWeight& weight, int64_t n, int64_t k,
                          int64_t depth, float* out) {
    const auto* first = static_cast<const char*>(weight.raw_codes.data);
    const int64_t row_bytes = static_cast<int64_t>(weight.raw_codes.row_bytes);
    const int64_t rows = smaller(kTileCols, weight.shape.N - n);
    for (int64_t i = 0; i < depth; i += V::kLanes) {
      const int64_t left = smaller(V::kLanes, depth - i);
      F w[16];
      for (int r = 0; r < 16; ++r) {
        const char* row = first + (n + r) * row_bytes;
        if (r >= rows) {
          w[r] = V::zero();
        } else if (left == V::kLanes) {
          w[r] = V::template load<kDtype>(row, k + i);
        } else {
          w[r] = V::template load_n<kDtype>(row, k + i, static_cast<int>(left));
        }
      }
      V::transpose(w);
      for (int c = 0; c < 16; ++c) {
        V::template store<TSR_F32>(out, (i + c) * 16, w[c]);
      }
    }
  }

  static void decode_any(const LinearWeight& weight, int64_t n, int64_t k,
                         int64_t depth, float* out) {
    float row[kPanelDepth];
    static_assert(kPanelDepth == kDecodeColumns);
    const int64_t rows = smaller(kTileCols, weight.shape.N - n);
    for (int64_t r = 0; r < kTileCols; ++r) {
      if (r < rows) decode_row(weight, n + r, k, k + depth, row);
      for (int64_t i = 0; i < depth; ++i) {
        out[i * 16 + r] = r < rows ? row[i] : 0.0f;
      }
    }
    clear(out, depth);
  }

  // Columns from `depth` up to a multiple of 16 become zero.
  static void clear(float* out, int64_t depth) {
    for (; depth % 16 != 0; ++depth) {
      V::template store<TSR_F32>(out, depth * 16, V::zero());
    }
  }

  // ---- Multiplying: register tiles of kTileRows x kTileVecs vectors.

  static void multiply(const FloatWork& work, int64_t k, int64_t depth) {
    int64_t j = 0;
    constexpr int64_t kWide = int64_t{V::kTileVecs} * V::kLanes;
    for (; j + kWide <= work.num_cols; j += kWide) {
      rows<V::kTileVecs>(work, k, depth, j);
    }
    for (; j < work.num_cols; j += V::kLanes) rows<1>(work, k, depth, j);
  }

  template <int kVecs>
  static void rows(const FloatWork& work, int64_t k, int64_t depth, int64_t j) {
    int64_t m = 0;
    for (; m + V::kTileRows <= work.M; m += V::kTileRows) {
      product<V::kTileRows, kVecs>(work, k, depth, m, j);
    }
    rows_left<V::kTileRows - 1, kVecs>(work, k, depth, m, j);
  }

  template <int kRows, int kVecs>
  static void rows_left(const FloatWork& work, int64_t k, int64_t depth,
                        int64_t m, int64_t j) {
    if constexpr (kRows > 0) {
      if (work.M - m == kRows) {
        product<kRows, kVecs>(work, k, depth, m, j);
      } else {
        rows_left<kRows - 1, kVecs>(work, k, depth, m, j);
      }
    }
  }

  template <int kRows, int kVecs>
  static void product(const FloatWork& work, int64_t k, int64_t depth,
                      int64_t m, int64_t j) {
    const float* x = work.x + m * work.x_stride + k;
    const float* w = work.panel + j * kPanelDepth;
    float* sums = work.sums + m * kChunkCols + j;
    F acc[kRows][kVecs];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVecs; ++v) {
        acc[r][v] =
            V::template load<TSR_F32>(sums, r * kChunkCols + v * V::kLanes);
      }
    }
    for (int64_t i = 0; i < depth; ++i) {
      F weights[kVecs];
      for (int v = 0; v < kVecs; ++v) {
        weights[v] =
            V::template load<TSR_F32>(w, (v * kPanelDepth + i) * V::kLanes);
      }
      for (int r = 0; r < kRows; ++r) {
        const F in = V::set1(x[r * work.x_stride + i]);
        for (int v = 0; v < kVecs; ++v) {
          acc[r][v] = V::fma(in, weights[v], acc[r][v]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVecs; ++v) {
        V::template store<TSR_F32>(sums, r * kChunkCols + v * V::kLanes,
                                   acc[r][v]);
      }
    }
  }
};

}  // namespace tessera::cpu
