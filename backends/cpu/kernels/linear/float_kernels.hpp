// SPDX-License-Identifier: Apache-2.0
//
// The float kernels, written once over the vector types of kernels/ops.
//
// Few rows: dot products straight from the stored codes, so that a weight is
// read once.  Any rows: W is decoded a panel at a time and multiplied by
// register tiles, so that decoding costs little for many rows.

#pragma once

#include <stdint.h>

#include <utility>

#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/few_rows.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

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

// ---- Any rows --------------------------------------------------------------

// A panel holds [kChunkCols / 16][kPanelDepth][16] decoded weights; columns of
// K up to a multiple of 16 and rows of W up to a whole tile are zero.
// kFormat is a row of kTileFormats, or kNumTileFormats for a weight in place.
template <typename V, int kFormat>
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
    if constexpr (kFormat < kNumTileFormats) {
      if constexpr (may_have_zeros(kTileFormats[kFormat])) {
        if (weight.zeros != nullptr) {
          return decode_tile<true>(weight, n, k, depth, out);
        }
      }
      decode_tile<false>(weight, n, k, depth, out);
    } else if (!weight.has_dense_rows()) {
      decode_any(weight, n, k, depth, out);
    } else if (weight.shape.format == TSR_WEIGHT_F32) {
      decode_rows<TSR_F32>(weight, n, k, depth, out);
    } else {
      decode_rows<TSR_F16>(weight, n, k, depth, out);
    }
  }

  template <bool kHasZeros>
  static void decode_tile(const LinearWeight& weight, int64_t n, int64_t k,
                          int64_t depth, float* out) {
    constexpr TileFormat kRow = kTileFormats[kFormat];
    using Scaling = GroupScales<V, kFormat>;
    const TileParts parts = tile_parts(weight, n);
    const int64_t group_size =
        kRow.group != 0 ? kRow.group : weight.shape.group_size;
    const int64_t end = k + depth;
    int64_t i = k;
    while (i < end) {
      const int64_t g = i / group_size;
      Affine affine{V::set1(1.0f), V::zero(), V::zero()};
      if constexpr (Scaling::kHasScales)
        affine.scale = Scaling::scale(parts, g);
      if constexpr (kRow.has_mins) affine.min = Scaling::min(parts, g);
      if constexpr (kHasZeros) {
        affine.zero = V::template load<TSR_F32>(parts.zeros, g * kTileCols);
      }
      const int64_t group_end = smaller((g + 1) * group_size, end);
      constexpr int64_t kColumns =
          int64_t{step_columns(kRow)} * steps_of_block(kRow);
      for (; i < group_end; i += kColumns) {
        decode_block<kHasZeros, 0>(parts, i, affine, out + (i - k) * 16);
      }
    }
    clear(out, i - k);
  }

  // W = scale * (code - zero) + min.
  struct Affine {
    F scale;
    F zero;
    F min;
  };

  template <bool kHasZeros, int kStep>
  static void decode_block(const TileParts& parts, int64_t k,
                           const Affine& affine, float* out) {
    constexpr TileFormat kRow = kTileFormats[kFormat];
    constexpr int kColumns = step_columns(kRow);
    constexpr int kSteps = steps_of_block(kRow);
    F w[kColumns];
    FloatTiles<V>::template unpack<kFormat, kStep, kHasZeros>(
        {}, parts.codes + (k / kColumns + kStep) * 64,
        kSteps == 1 ? nullptr
                    : parts.high + k / (int64_t{kColumns} * kSteps) * 64,
        w);
    for (int c = 0; c < kColumns; ++c) {
      if constexpr (kHasZeros) w[c] = V::sub(w[c], affine.zero);
      if constexpr (kRow.has_mins) {
        w[c] = V::fma(w[c], affine.scale, affine.min);
      } else if constexpr (kRow.scales != Scales::kNone) {
        w[c] = V::mul(w[c], affine.scale);
      }
      V::template store<TSR_F32>(out, (kColumns * kStep + c) * 16, w[c]);
    }
    if constexpr (kStep + 1 < kSteps) {
      decode_block<kHasZeros, kStep + 1>(parts, k, affine, out);
    }
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

// ---- All of them -----------------------------------------------------------

template <typename V, int... kFormats>
constexpr FormatKernels<kNumTileFormats> few_rows_kernels(
    std::integer_sequence<int, kFormats...> /*formats*/) {
  return {{FewRows<V, FloatTiles, kFormats>::run...}};
}
template <typename V, int... kFormats>
constexpr FormatKernels<kNumTileFormats> panel_kernels(
    std::integer_sequence<int, kFormats...> /*formats*/) {
  return {{Panel<V, kFormats>::run...}};
}

template <typename V>
constexpr FloatKernelSet float_kernel_set() {
  constexpr auto kAll = std::make_integer_sequence<int, kNumTileFormats>();
  return {DenseDot<V, TSR_F32>::run, DenseDot<V, TSR_F16>::run,
          Panel<V, kNumTileFormats>::run, few_rows_kernels<V>(kAll),
          panel_kernels<V>(kAll)};
}

}  // namespace tessera::cpu
