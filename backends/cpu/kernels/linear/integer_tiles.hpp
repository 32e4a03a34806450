// SPDX-License-Identifier: Apache-2.0
//
// Integer sums over packed tiles without zero points, written once over the
// instructions of an ISA.  x is u8, so sum (x - z) w = sum x w - z sum w; the
// sums of w come from packing (I8) or are added up on the way (U4).  All steps
// are modulo 2^32, where the result is exact.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

struct I8TileCodes {
  static constexpr int kColumns = 4;  // per 64 bytes
  static constexpr bool kSumsOnTheWay = false;
};
struct U4TileCodes {
  static constexpr int kColumns = 8;
  static constexpr bool kSumsOnTheWay = true;
};

template <typename Ops, typename TileCodes>
class IntegerTiles {
  static constexpr int kColumns = TileCodes::kColumns;

 public:
  static void run(const IntegerWork& work) {
    int64_t j = 0;
    constexpr int64_t kWide = Ops::kTiles * kTileCols;
    for (; j + kWide <= work.num_cols; j += kWide) rows<Ops::kTiles>(work, j);
    for (; j < work.num_cols; j += kTileCols) rows<1>(work, j);
  }

 private:
  // A block of outputs: rows m .., tiles from column j.
  struct Place {
    int64_t m;
    int64_t j;
  };

  template <int kTiles>
  static void rows(const IntegerWork& work, int64_t j) {
    int64_t m = 0;
    for (; m + Ops::kRows <= work.M; m += Ops::kRows) {
      block<Ops::kRows, kTiles>(work, {m, j});
    }
    rows_left<Ops::kRows - 1, kTiles>(work, {m, j});
  }

  template <int kRows, int kTiles>
  static void rows_left(const IntegerWork& work, Place place) {
    if constexpr (kRows > 0) {
      if (work.M - place.m == kRows) {
        block<kRows, kTiles>(work, place);
      } else {
        rows_left<kRows - 1, kTiles>(work, place);
      }
    }
  }

  template <int kRows, int kTiles>
  struct Block {
    typename Ops::Sums sums[kRows][kTiles];
    typename Ops::Sums code_sums[kTiles];
  };

  template <int kRows, int kTiles>
  static void block(const IntegerWork& work, Place place) {
    const WeightShape& shape = work.weight->shape;
    const int64_t begin = work.group * shape.group_size;
    const int64_t end =
        begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
    const int64_t tile = (work.n_begin + place.j) / kTileCols;
    const uint8_t* x = work.x + place.m * work.x_stride;
    const auto* codes = reinterpret_cast<const uint8_t*>(work.weight->codes) +
                        tile * shape.tile_bytes;

    Block<kRows, kTiles> b;
    for (int t = 0; t < kTiles; ++t) {
      b.code_sums[t] = Ops::zero();
      for (int r = 0; r < kRows; ++r) b.sums[r][t] = Ops::zero();
    }
    for (int64_t k = begin; k < end; k += kColumns) {
      step<kRows, kTiles>(b, x + k, work.x_stride, codes + k / kColumns * 64,
                          shape.tile_bytes);
    }
    store(b, work, place, tile);
  }

  template <int kRows, int kTiles>
  static void step(Block<kRows, kTiles>& b, const uint8_t* x, int64_t x_stride,
                   const uint8_t* codes, int64_t tile_bytes) {
    if constexpr (kColumns == 4) {
      four<kRows, kTiles>(b, x, x_stride, [&](int t) {
        return Ops::load_i8(codes + t * tile_bytes);
      });
    } else {
      four<kRows, kTiles>(b, x, x_stride, [&](int t) {
        return Ops::template load_u4<0>(codes + t * tile_bytes);
      });
      four<kRows, kTiles>(b, x + 4, x_stride, [&](int t) {
        return Ops::template load_u4<4>(codes + t * tile_bytes);
      });
    }
  }

  // Four columns; load(t) gives those of tile t.
  template <int kRows, int kTiles, typename Load>
  static void four(Block<kRows, kTiles>& b, const uint8_t* x, int64_t x_stride,
                   const Load& load) {
    typename Ops::Codes w[kTiles];
    for (int t = 0; t < kTiles; ++t) {
      w[t] = load(t);
      if constexpr (TileCodes::kSumsOnTheWay) {
        Ops::add(b.code_sums[t], Ops::ones(), w[t]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      const typename Ops::Input in = Ops::input(x + r * x_stride);
      for (int t = 0; t < kTiles; ++t) Ops::add(b.sums[r][t], in, w[t]);
    }
  }

  template <int kRows, int kTiles>
  static void store(const Block<kRows, kTiles>& b, const IntegerWork& work,
                    Place place, int64_t tile) {
    const WeightShape& shape = work.weight->shape;
    for (int t = 0; t < kTiles; ++t) {
      uint32_t code_sums[kTileCols];
      if constexpr (TileCodes::kSumsOnTheWay) {
        Ops::store(b.code_sums[t], reinterpret_cast<int32_t*>(code_sums));
        // Columns past K hold code 0, which was counted as -8.
        const bool last = work.group + 1 == shape.num_groups;
        const int64_t extra = last ? (kColumns - shape.K % kColumns) : 0;
        const auto over = static_cast<uint32_t>(extra % kColumns * 8);
        for (uint32_t& sum : code_sums) sum += over;
      } else {
        const int64_t blocked = (tile + t) * shape.num_groups + work.group;
        __builtin_memcpy(code_sums, work.weight->sums + blocked * kTileCols,
                         sizeof(code_sums));
      }
      for (int r = 0; r < kRows; ++r) {
        const int64_t m = place.m + r;
        int32_t* out = work.sums + m * kChunkCols + place.j + t * kTileCols;
        Ops::store(b.sums[r][t], out);
        const auto zero = static_cast<uint32_t>(work.x_zeros[m]);
        for (int64_t i = 0; i < kTileCols; ++i) {
          out[i] = static_cast<int32_t>(static_cast<uint32_t>(out[i]) -
                                        zero * code_sums[i]);
        }
      }
    }
  }
};

}  // namespace tessera::cpu
