// SPDX-License-Identifier: Apache-2.0
//
// Few rows of x: dot products straight from the stored codes, so that a weight
// is read and decoded once.  Written once over how codes become vectors: Arch
// is FloatTiles of a vector type, or Bf16Tiles.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/float_tiles.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

#if defined(__clang__)
#define TSR_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define TSR_UNROLL_4 _Pragma("GCC unroll 4")
#endif

namespace tessera::cpu {

[[maybe_unused]] static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Rows of x as Arch multiplies them.
template <typename X>
[[maybe_unused]] static const X* input_row(const FloatWork& work, int64_t m) {
  if constexpr (sizeof(X) == 2) return work.x16 + m * work.x_stride;
  if constexpr (sizeof(X) == 4) return work.x + m * work.x_stride;
}

template <typename V, template <typename> typename ArchOf, int kFormat>
class FewRows {
  using Arch = ArchOf<V>;
  using F = typename V::F;
  using X = typename Arch::X;
  using Scaling = GroupScales<V, kFormat>;
  using Tables = typename Arch::template Tables<kFormat>;
  static constexpr TileFormat kRow = kTileFormats[kFormat];
  static constexpr int kColumns = step_columns(kRow);
  static constexpr int kSteps = steps_of_block(kRow);
  static constexpr int64_t kBlock = int64_t{kColumns} * kSteps;
  static constexpr int kVectors = kColumns / Arch::kColumnsOfW;

 public:
  static void run(const FloatWork& work) {
    if constexpr (may_have_zeros(kRow)) {
      if (work.weight->zeros != nullptr) return tiles<true>(work);
    }
    tiles<false>(work);
  }

 private:
  struct GroupPlace {
    int64_t m;
    int64_t g;
  };

  // What a tile's group is unpacked from.
  struct Source {
    TileParts parts;
    F zero;
  };
  // Rows of x; `k` is the place in them and, unpacked, in the tiles.
  struct Input {
    const X* x;
    int64_t stride;
  };
  // Bytes of codes from one block of columns to the next.
  static constexpr int64_t kBlockBytes = int64_t{64} * kSteps;
  // Codes are asked for so far ahead: what a core reads while memory answers.
  // The hardware's own prefetch stops at the end of each 4 KiB.
  static constexpr int64_t kPrefetchBytes = 4096;

  // Tiles at once: two share what is read of many rows of x, where scales and
  // mins leave enough registers.
  template <int kRows>
  static constexpr int tiles_at_once() {
    constexpr bool kIsPlain = !kRow.has_mins && kRow.scales <= Scales::kF16;
    return kRows >= 4 && kIsPlain ? Arch::kFewTiles : 1;
  }

  // Blocks in a row without a branch: as many as chains need, and at least four
  // if a group has them.
  static constexpr int turns_of(int chains) {
    constexpr int kSums = kVectors * kSteps;
    const int wanted = chains > 4 * kSums ? chains / kSums : 4;
    const int most = kRow.group != 0 ? kRow.group / kBlock : wanted;
    return wanted < most ? wanted : most;
  }

  template <bool kHasZeros>
  static void tiles(const FloatWork& work) {
    int64_t j = 0;
    constexpr int64_t kWide = int64_t{Arch::kFewTiles} * kTileCols;
    for (; j + kWide <= work.num_cols; j += kWide) {
      rows<kHasZeros, Arch::kFewRows, Arch::kFewTiles>(work, 0, j);
    }
    for (; j < work.num_cols; j += kTileCols) {
      rows<kHasZeros, Arch::kFewRows, 1>(work, 0, j);
    }
  }
  // Tiles from column j, kTiles of them.
  template <bool kHasZeros, int kRows, int kTiles>
  static void rows(const FloatWork& work, int64_t m, int64_t j) {
    constexpr int kWidth = kTiles == 1 ? 1 : tiles_at_once<kRows>();
    for (; m + kRows <= work.M; m += kRows) {
      for (int64_t t = 0; t < kTiles; t += kWidth) {
        tile<kHasZeros, kRows, kWidth>(work, m, j + t * kTileCols);
      }
    }
    if constexpr (kRows > 1) {
      rows<kHasZeros, kRows / 2, kTiles>(work, m, j);
    }
  }

  template <bool kHasZeros, int kRows, int kTiles>
  static void tile(const FloatWork& work, int64_t m, int64_t j) {
    // Sums of few rows hide the latency of a product, six cycles in which
    // twelve could begin, in several chains; blocks take turns in them.  Short
    // groups overlap each other, and have fewer chains to add up.
    constexpr int kSums = kRow.group != 0 ? 4 : 8;
    constexpr int kChains =
        kRows * kTiles >= kSums ? 1 : kSums / (kRows * kTiles);
    constexpr int kTurns = turns_of(kChains);
    const WeightShape& shape = work.weight->shape;
    const Tables tables{};
    Source sources[kTiles];
    F total[kTiles][kRows];
    for (int t = 0; t < kTiles; ++t) {
      sources[t].parts =
          tile_parts(*work.weight, work.n_begin + j + t * kTileCols);
      for (F& sum : total[t]) sum = V::zero();
    }
    const Input input{input_row<X>(work, m), work.x_stride};
    const int64_t group_size = kRow.group != 0 ? kRow.group : shape.group_size;
    int64_t codes = 0;  // where the block's begin
    for (int64_t g = 0; g < shape.num_groups; ++g) {
      const int64_t begin = g * group_size;
      const int64_t end = smaller(begin + group_size, shape.K);
      F acc[kTiles][kRows][kChains];
      TSR_UNROLL
      for (int t = 0; t < kTiles; ++t) {
        for (auto& row : acc[t]) {
          for (F& sum : row) sum = V::zero();
        }
        if constexpr (kHasZeros) {
          sources[t].zero =
              V::template load<TSR_F32>(sources[t].parts.zeros, g * kTileCols);
        }
      }
      int64_t k = begin;
      for (; k + kTurns * kBlock <= end; k += kTurns * kBlock) {
        TSR_UNROLL
        for (int turn = 0; turn < kTurns; ++turn, codes += kBlockBytes) {
          block<kHasZeros, 0>(tables, sources, codes,
                              {input.x + k + turn * kBlock, input.stride}, turn,
                              acc);
        }
      }
      for (; k < end; k += kBlock, codes += kBlockBytes) {
        block<kHasZeros, 0>(tables, sources, codes, {input.x + k, input.stride},
                            0, acc);
      }
      TSR_UNROLL
      for (int t = 0; t < kTiles; ++t) {
        finish_group<kHasZeros>(work, {m, g}, sources[t], acc[t], total[t]);
      }
    }
    for (int t = 0; t < kTiles; ++t) {
      for (int r = 0; r < kRows; ++r) {
        V::template store<TSR_F32>(
            work.sums, (m + r) * kChunkCols + j + t * kTileCols, total[t][r]);
      }
    }
  }

  // A step of each tile by all rows, then the block's other steps.
  template <bool kHasZeros, int kStep, int kTiles, int kRows, int kChains>
  [[gnu::always_inline]] static void block(const Tables& tables,
                                           const Source (&sources)[kTiles],
                                           int64_t codes, const Input& input,
                                           int turn,
                                           F (&acc)[kTiles][kRows][kChains]) {
    typename Arch::W w[kTiles][kVectors];
    TSR_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      const TileParts& parts = sources[t].parts;
      const uint8_t* place = parts.codes + codes + int64_t{64} * kStep;
      __builtin_prefetch(place + kPrefetchBytes);
      Arch::template unpack<kFormat, kStep, kHasZeros>(
          tables, place, kSteps == 1 ? nullptr : parts.high + codes / kSteps,
          w[t]);
      if constexpr (kHasZeros && !Arch::kZerosAreMins) {
        for (auto& v : w[t]) v = V::sub(v, sources[t].zero);
      }
    }
    TSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const auto in = Arch::input(input.x + r * input.stride +
                                    kColumns * kStep + v * Arch::kColumnsOfW);
        TSR_UNROLL
        for (int t = 0; t < kTiles; ++t) {
          F& sum =
              acc[t][r][((turn * kSteps + kStep) * kVectors + v) % kChains];
          sum = Arch::add(sum, w[t][v], in);
        }
      }
    }
    if constexpr (kStep + 1 < kSteps) {
      block<kHasZeros, kStep + 1>(tables, sources, codes, input, turn, acc);
    }
  }

  // total += scale * sum + min * (sum of x).
  template <bool kHasZeros, int kRows, int kChains>
  [[gnu::always_inline]] static void finish_group(const FloatWork& work,
                                                  GroupPlace place,
                                                  const Source& source,
                                                  F (&acc)[kRows][kChains],
                                                  F (&total)[kRows]) {
    TSR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      for (int c = 1; c < kChains; ++c) {
        acc[r][0] = V::add(acc[r][0], acc[r][c]);
      }
    }
    if constexpr (!Scaling::kHasScales) {
      for (int r = 0; r < kRows; ++r) total[r] = acc[r][0];
      return;
    } else {
      const F scale = Scaling::scale(source.parts, place.g);
      for (int r = 0; r < kRows; ++r) {
        total[r] = V::fma(acc[r][0], scale, total[r]);
      }
      constexpr bool kZeros = kHasZeros && Arch::kZerosAreMins;
      if constexpr (kRow.has_mins || kZeros) {
        F min = V::zero();
        if constexpr (kRow.has_mins) min = Scaling::min(source.parts, place.g);
        if constexpr (kZeros) {
          const F own = V::set1(static_cast<float>(kRow.zero));
          min = V::mul(V::sub(own, source.zero), scale);
        }
        for (int r = 0; r < kRows; ++r) {
          const F sum = V::set1(
              work.x_sums[(place.m + r) * work.x_sums_stride + place.g]);
          total[r] = V::fma(sum, min, total[r]);
        }
      }
    }
  }
};

}  // namespace tessera::cpu
