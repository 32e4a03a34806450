// SPDX-License-Identifier: Apache-2.0
//
// Integer sums by tiles of AMX: 32 rows of x by 32 of W at a time.  16 lines of
// a packed tile of 8-bit codes are a tile register as they lie in memory.  Each
// step of 64 columns loads four registers for four products of 16 cycles, so
// that with x and W in L2 the products take longer than the loads.

#pragma once

#include <stdint.h>

#include <algorithm>

#include "backends/cpu/kernels/linear/integer_tiles.hpp"

namespace tessera::cpu {

// `Tiles` has the members of AmxTiles.
template <typename Tiles>
class IntegerAmx {
  static constexpr int64_t kRows = 16;  // of a register
  static constexpr int64_t kStep = 64;  // columns of K in a register
  static constexpr int64_t kLine = 4;   // in a line of W

 public:
  static void run(const IntegerWork& work) {
    for (int64_t m = 0; m < work.M; m += 2 * kRows) {
      const int64_t rows = std::min(work.M - m, 2 * kRows);
      const int second = static_cast<int>(std::max<int64_t>(rows - kRows, 0));
      const int first = static_cast<int>(rows) - second;
      Tiles::configure({first, std::max(second, 1)});
      if (second > 0) {
        columns<2>(work, m);
      } else {
        columns<1>(work, m);
      }
    }
    Tiles::release();
    subtract_zeros(work);
  }

 private:
  // Rows from m on, tiles of W from column j on.
  struct Place {
    int64_t m;
    int64_t j;
  };

  template <int kBlocks>
  static void columns(const IntegerWork& work, int64_t m) {
    int64_t j = 0;
    for (; j + kTileCols < work.num_cols; j += 2 * kTileCols) {
      block<kBlocks, 2>(work, {m, j});
    }
    if (j < work.num_cols) block<kBlocks, 1>(work, {m, j});
  }

  // What one step reads.
  struct Source {
    const uint8_t* x;
    int64_t x_stride;
    const int8_t* codes;
    int64_t tile_bytes;
  };

  template <int kBlocks, int kTiles>
  static void block(const IntegerWork& work, Place place) {
    const WeightShape& shape = work.weight->shape;
    const int64_t begin = work.group * shape.group_size;
    const int64_t end = std::min(begin + shape.group_size, shape.K);
    const int64_t tile = (work.n_begin + place.j) / kTileCols;
    const auto* codes = reinterpret_cast<const int8_t*>(work.weight->codes) +
                        tile * shape.tile_bytes;
    clear<kBlocks, kTiles>();
    int64_t k = begin;
    for (; k + kStep <= end; k += kStep) {
      step<kBlocks, kTiles>({work.x + place.m * work.x_stride + k,
                             work.x_stride, codes + k * kTileCols,
                             shape.tile_bytes});
    }
    if (k < end) last_step<kBlocks, kTiles>(work, place, codes, {k, end});
    store<kBlocks, kTiles>(work.sums + place.m * kChunkCols + place.j);
  }

  struct Columns {
    int64_t begin;
    int64_t end;
  };

  // Fewer than kStep columns, filled up with zeros: what follows is another
  // group's, or beyond the memory.
  template <int kBlocks, int kTiles>
  static void last_step(const IntegerWork& work, Place place,
                        const int8_t* codes, Columns part) {
    alignas(64) uint8_t x[2 * kRows * kStep] = {};
    alignas(64) int8_t w[kTiles * kStep * kTileCols] = {};
    const auto count = static_cast<size_t>(part.end - part.begin);
    const int64_t rows = std::min(work.M - place.m, 2 * kRows);
    for (int64_t r = 0; r < rows; ++r) {
      __builtin_memcpy(x + r * kStep,
                       work.x + (place.m + r) * work.x_stride + part.begin,
                       count);
    }
    const int64_t tile_bytes = work.weight->shape.tile_bytes;
    const auto lines = (count + kLine - 1) / kLine;
    for (int t = 0; t < kTiles; ++t) {
      __builtin_memcpy(w + t * kStep * kTileCols,
                       codes + t * tile_bytes + part.begin * kTileCols,
                       lines * 64);
    }
    step<kBlocks, kTiles>({x, kStep, w, kStep * kTileCols});
  }

  template <int kBlocks, int kTiles>
  static void step(const Source& from) {
    Tiles::template load_columns<0>(from.codes);
    Tiles::template load_rows<0>(from.x, from.x_stride);
    Tiles::template add_u8s8<0, 0>();
    if constexpr (kTiles > 1) {
      Tiles::template load_columns<1>(from.codes + from.tile_bytes);
      Tiles::template add_u8s8<0, 1>();
    }
    if constexpr (kBlocks > 1) {
      Tiles::template load_rows<1>(from.x + kRows * from.x_stride,
                                   from.x_stride);
      Tiles::template add_u8s8<1, 0>();
    }
    if constexpr (kBlocks > 1 && kTiles > 1) Tiles::template add_u8s8<1, 1>();
  }

  template <int kBlocks, int kTiles>
  static void clear() {
    Tiles::template clear<0, 0>();
    if constexpr (kTiles > 1) Tiles::template clear<0, 1>();
    if constexpr (kBlocks > 1) Tiles::template clear<1, 0>();
    if constexpr (kBlocks > 1 && kTiles > 1) Tiles::template clear<1, 1>();
  }

  template <int kBlocks, int kTiles>
  static void store(int32_t* sums) {
    constexpr int64_t kStride = kChunkCols * int64_t{sizeof(int32_t)};
    Tiles::template store<0, 0>(sums, kStride);
    if constexpr (kTiles > 1) {
      Tiles::template store<0, 1>(sums + kTileCols, kStride);
    }
    int32_t* below = sums + kRows * kChunkCols;
    if constexpr (kBlocks > 1) Tiles::template store<1, 0>(below, kStride);
    if constexpr (kBlocks > 1 && kTiles > 1) {
      Tiles::template store<1, 1>(below + kTileCols, kStride);
    }
  }

  static void subtract_zeros(const IntegerWork& work) {
    const int64_t num_groups = work.weight->shape.num_groups;
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      const int64_t tile = (work.n_begin + j) / kTileCols;
      uint32_t totals[kTileCols];
      __builtin_memcpy(
          totals,
          work.weight->sums + (tile * num_groups + work.group) * kTileCols,
          sizeof(totals));
      for (int64_t m = 0; m < work.M; ++m) {
        tessera::cpu::subtract_zeros(totals, work.x_zeros[m],
                                     work.sums + m * kChunkCols + j);
      }
    }
  }
};

}  // namespace tessera::cpu
