// SPDX-License-Identifier: Apache-2.0
//
// The products of Bf16Panel by vdpbf16ps.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/bf16_parts.hpp"
#include "backends/cpu/kernels/register_blocks.hpp"

namespace tessera::cpu {

template <int kFormat>
class Bf16Registers {
  using V = Avx512;
  using F = V::F;
  using Arch = Bf16Tiles<V>;
  using Format = Bf16Format<kFormat>;

  static constexpr int kTileRows = 6;  // 24 accumulators of 32 registers
  static constexpr int kTiles = static_cast<int>(kChunkCols / kTileCols);
  static constexpr int kGroupCols = 2;  // 12 + 12 accumulators

 public:
  // One part: register tiles of kTileRows x kTiles vectors.
  template <bool kHasZeros>
  static void multiply(const FloatWork& work, const Bf16Part& part) {
    for_register_blocks<kTileRows, kTiles>(
        work.M, (work.num_cols + kTileCols - 1) / kTileCols,
        [&]<int kRows, int kCols>(int64_t m, int64_t tile) {
          product<kHasZeros, kRows, kCols>(work, part, m, tile * kTileCols);
        });
  }

  // Groups that a panel holds several of: their scaled sums stay in registers
  // beside the group's own.
  template <bool kHasZeros>
  static void multiply_groups(const FloatWork& work, const Bf16Groups& part) {
    for_register_blocks<kTileRows, kGroupCols>(
        work.M, (work.num_cols + kTileCols - 1) / kTileCols,
        [&]<int kRows, int kCols>(int64_t m, int64_t tile) {
          group_product<kHasZeros, kRows, kCols>(work, part, m,
                                                 tile * kTileCols);
        });
  }

 private:
  template <bool kHasZeros, int kRows, int kCols>
  static void group_product(const FloatWork& work, const Bf16Groups& part,
                            int64_t m, int64_t j) {
    const int64_t stride = work.x_stride;
    const uint8_t* w = part.w + j / kTileCols * kPanelTileBytes;
    float* sums = work.sums + m * kChunkCols + j;
    F total[kRows][kCols];
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        total[r][c] =
            part.begin == 0
                ? V::zero()
                : V::load<TSR_F32>(sums, r * kChunkCols + c * kTileCols);
      }
    }
    int64_t group = part.begin / part.group_size;
    const float* scales = part.scales + j;
    const float* mins = part.mins + j;
    for (int64_t k = part.begin; k < part.end; k += part.group_size) {
      const int64_t stop = smaller(k + part.group_size, part.end);
      const uint16_t* x = work.x16 + m * stride + k;
      F acc[kRows][kCols];
      for (auto& row : acc) {
        for (F& sum : row) sum = V::zero();
      }
      const int64_t depth = Format::padded(stop - k);
      for (int64_t i = 0; i < depth; i += 2) {
        add_pairs(w + i * 32, kPanelTileBytes, x + i, stride, acc);
      }
      const float* x_sums = work.x_sums + m * work.x_sums_stride + group;
      TSR_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const F scale = V::load<TSR_F32>(scales, c * kTileCols);
        const F min = Format::kRow.has_mins || kHasZeros
                          ? V::load<TSR_F32>(mins, c * kTileCols)
                          : V::zero();
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          total[r][c] = V::fma(acc[r][c], scale, total[r][c]);
          if constexpr (Format::kRow.has_mins || kHasZeros) {
            total[r][c] = V::fma(V::set1(x_sums[r * work.x_sums_stride]), min,
                                 total[r][c]);
          }
        }
      }
      w += (stop - k) * 32;
      ++group;
      scales += kChunkCols;
      mins += kChunkCols;
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        V::store<TSR_F32>(sums, r * kChunkCols + c * kTileCols, total[r][c]);
      }
    }
  }

  // One pair of columns of every tile by that of every row.
  template <int kRows, int kCols>
  [[gnu::always_inline]] static void add_pairs(const uint8_t* w,
                                               int64_t tile_bytes,
                                               const uint16_t* x,
                                               int64_t stride,
                                               F (&acc)[kRows][kCols]) {
    __m512i pairs[kCols];
    TSR_UNROLL
    for (int c = 0; c < kCols; ++c) {
      pairs[c] = _mm512_loadu_si512(w + c * tile_bytes);
    }
    TSR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m512i in = Arch::input(x + r * stride);
      TSR_UNROLL
      for (int c = 0; c < kCols; ++c) {
        acc[r][c] = Arch::add(acc[r][c], pairs[c], in);
      }
    }
  }

  template <bool kHasZeros, int kRows, int kCols>
  static void product(const FloatWork& work, const Bf16Part& part, int64_t m,
                      int64_t j) {
    const int64_t stride = work.x_stride;
    const uint16_t* x = work.x16 + m * stride + part.begin;
    const uint8_t* w = part.w + j / kTileCols * part.tile_bytes;
    F acc[kRows][kCols];
    for (auto& row : acc) {
      for (F& sum : row) sum = V::zero();
    }
    for (int64_t i = 0; i < part.end - part.begin; i += 2) {
      add_pairs(w + i * 32, part.tile_bytes, x + i, stride, acc);
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        finish_part<kFormat, kHasZeros>(work, part, m + r, j + c * kTileCols,
                                        acc[r][c]);
      }
    }
  }
};

}  // namespace tessera::cpu
