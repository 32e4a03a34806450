// SPDX-License-Identifier: Apache-2.0
//
// Integer sums over packed tiles without zero points, written once over the
// instructions of an ISA.  x is u8, so sum (x - z) w = sum x w - z sum w; the
// sums of w come from packing (I8) or are added up on the way (U4).  All steps
// are modulo 2^32, where the result is exact.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/register_blocks.hpp"

namespace tessera::cpu {

struct I8TileCodes {
  static constexpr int kColumns = 4;  // per 64 bytes
  static constexpr bool kSumsOnTheWay = false;
};
struct U4TileCodes {
  static constexpr int kColumns = 8;
  static constexpr bool kSumsOnTheWay = true;
};

// out[i] -= x_zero times the sum of row i's codes.
[[maybe_unused]] static void subtract_zeros(const uint32_t (&totals)[kTileCols],
                                            int32_t x_zero, int32_t* out) {
  const auto zero = static_cast<uint32_t>(x_zero);
  for (int64_t i = 0; i < kTileCols; ++i) {
    out[i] =
        static_cast<int32_t>(static_cast<uint32_t>(out[i]) - zero * totals[i]);
  }
}

// The sums of the codes of each row of a tile, as packing left them.
[[maybe_unused]] static void sums_of_codes(const IntegerWork& work,
                                           int64_t tile,
                                           uint32_t (&totals)[kTileCols]) {
  const int64_t blocked = tile * work.weight->shape.num_groups + work.group;
  __builtin_memcpy(totals, work.weight->sums + blocked * kTileCols,
                   sizeof(totals));
}

template <typename Ops, typename TileCodes>
class IntegerTiles {
  static constexpr int kColumns = TileCodes::kColumns;
  // The sums of the codes take registers too.
  static constexpr int kMaxRows =
      TileCodes::kSumsOnTheWay && Ops::kRows > 4 ? 4 : Ops::kRows;
  using Sums = typename Ops::Sums;

 public:
  static void run(const IntegerWork& work) {
    if constexpr (!TileCodes::kSumsOnTheWay) {
      if (work.M <= Ops::kFewRows) return few_rows<Ops::kFewRows>(work);
    }
    for_register_blocks<kMaxRows, Ops::kTiles>(
        work.M, (work.num_cols + kTileCols - 1) / kTileCols,
        [&]<int kRows, int kTiles>(int64_t m, int64_t tile) {
          block<kRows, kTiles>(work, {m, tile * kTileCols});
        });
  }

 private:
  // A block of outputs: rows m .., tiles from column j.
  struct Place {
    int64_t m;
    int64_t j;
  };

  // Few rows wait for memory, so tiles follow each other as they lie, and codes
  // are asked for ahead: the hardware's own prefetch stops at the end of each
  // 4 KiB.  Several chains of sums hide the latency of a product.
  static constexpr int64_t kPrefetchBytes = 4096;

  template <int kRows>
  static void few_rows(const IntegerWork& work) {
    if constexpr (kRows > 1) {
      if (work.M < kRows) return few_rows<kRows - 1>(work);
    }
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      tile_by_rows<kRows>(work, j);
    }
  }

  template <int kRows>
  static void tile_by_rows(const IntegerWork& work, int64_t j) {
    constexpr int kChains = kRows == 1 ? 4 : kRows <= 4 ? 2 : 1;
    const WeightShape& shape = work.weight->shape;
    const int64_t begin = work.group * shape.group_size;
    const int64_t end =
        begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
    const int64_t tile = (work.n_begin + j) / kTileCols;
    const int64_t x_stride = work.x_stride;
    const auto* codes = reinterpret_cast<const uint8_t*>(work.weight->codes) +
                        tile * shape.tile_bytes;
    Sums sums[kRows][kChains];
#pragma GCC unroll 8
    for (auto& row : sums) {
#pragma GCC unroll 4
      for (Sums& sum : row) sum = Ops::zero();
    }
    const auto add = [&](int64_t k, int chain) __attribute__((always_inline)) {
      const uint8_t* place = codes + k / kColumns * 64;
      __builtin_prefetch(place + kPrefetchBytes);
      const auto w = load(place, 0);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        Ops::add(sums[r][chain], Ops::input(work.x + r * x_stride + k), w);
      }
    };
    constexpr int64_t kStep = int64_t{kChains} * kColumns;
    int64_t k = begin;
    for (; k + kStep <= end; k += kStep) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) add(k + int64_t{kColumns} * c, c);
    }
    for (; k < end; k += kColumns) add(k, 0);
    uint32_t totals[kTileCols];
    finish_totals(work, tile, totals);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t* out = work.sums + r * kChunkCols + j;
      finish_sums(work, r, sums[r][0], totals, out);
#pragma GCC unroll 4
      for (int c = 1; c < kChains; ++c) add_to(sums[r][c], out);
    }
  }

  // The sums must stay in registers, so what touches them is inlined and takes
  // no address.
  template <int kRows, int kTiles>
  static void block(const IntegerWork& work, Place place) {
    const WeightShape& shape = work.weight->shape;
    const int64_t begin = work.group * shape.group_size;
    const int64_t end =
        begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
    const int64_t tile = (work.n_begin + place.j) / kTileCols;
    const int64_t tile_bytes = shape.tile_bytes;
    const int64_t x_stride = work.x_stride;
    const uint8_t* x = work.x + place.m * x_stride;
    const auto* codes = reinterpret_cast<const uint8_t*>(work.weight->codes) +
                        tile * tile_bytes;

    Sums sums[kRows][kTiles];
    Sums code_sums[kTiles];
#pragma GCC unroll 8
    for (int t = 0; t < kTiles; ++t) {
      code_sums[t] = Ops::zero();
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sums[r][t] = Ops::zero();
    }
    for (int64_t k = begin; k < end; k += kColumns) {
      const uint8_t* place64 = codes + k / kColumns * 64;
#pragma GCC unroll 2
      for (int half = 0; half < kColumns / 4; ++half) {
        typename Ops::Codes w[kTiles];
#pragma GCC unroll 8
        for (int t = 0; t < kTiles; ++t) {
          w[t] = load(place64 + t * tile_bytes, half);
          if constexpr (TileCodes::kSumsOnTheWay) {
            Ops::add(code_sums[t], Ops::ones(), w[t]);
          }
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const auto in = Ops::input(x + r * x_stride + k + int64_t{4} * half);
#pragma GCC unroll 8
          for (int t = 0; t < kTiles; ++t) Ops::add(sums[r][t], in, w[t]);
        }
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTiles; ++t) {
      uint32_t totals[kTileCols];
      if constexpr (TileCodes::kSumsOnTheWay) {
        Ops::store(code_sums[t], reinterpret_cast<int32_t*>(totals));
      }
      finish_totals(work, tile + t, totals);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int32_t* out =
            work.sums + (place.m + r) * kChunkCols + place.j + t * kTileCols;
        finish_sums(work, place.m + r, sums[r][t], totals, out);
      }
    }
  }

  [[gnu::always_inline]] static void finish_sums(
      const IntegerWork& work, int64_t m, const Sums& sums,
      const uint32_t (&totals)[kTileCols], int32_t* out) {
    if (work.adds) return add_to(sums, out);
    Ops::store(sums, out);
    subtract_zeros(totals, work.x_zeros[m], out);
  }
  [[gnu::always_inline]] static void add_to(const Sums& sums, int32_t* out) {
    uint32_t own[kTileCols];
    Ops::store(sums, reinterpret_cast<int32_t*>(own));
    for (int64_t i = 0; i < kTileCols; ++i) {
      out[i] = static_cast<int32_t>(static_cast<uint32_t>(out[i]) + own[i]);
    }
  }

  // Four columns of a tile's 64 bytes: the first of I8, either of U4.
  static typename Ops::Codes load(const uint8_t* codes, int half) {
    if constexpr (kColumns == 4) {
      return Ops::load_i8(codes);
    } else {
      return half == 0 ? Ops::template load_u4<0>(codes)
                       : Ops::template load_u4<4>(codes);
    }
  }

  // The sum of each row's codes in the group.
  static void finish_totals(const IntegerWork& work, int64_t tile,
                            uint32_t (&totals)[kTileCols]) {
    if constexpr (TileCodes::kSumsOnTheWay) {
      const WeightShape& shape = work.weight->shape;
      // Columns past K hold code 0, which was counted as -8.
      const bool last = work.group + 1 == shape.num_groups;
      const int64_t extra = last ? kColumns - shape.K % kColumns : 0;
      const auto over = static_cast<uint32_t>(extra % kColumns * 8);
      for (uint32_t& total : totals) total += over;
    } else {
      sums_of_codes(work, tile, totals);
    }
  }
};

}  // namespace tessera::cpu
