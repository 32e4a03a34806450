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
    if (work.weight->zeros == nullptr) {
      tiles<false>(work);
    } else {
      tiles<true>(work);
    }
  }

 private:
  // What a tile's group is unpacked from, and the rows of x beside it.
  struct Source {
    Tables tables;
    TileParts parts;
    F zero;
  };
  struct Input {
    const X* x;
    int64_t stride;
  };
  struct GroupPlace {
    int64_t m;
    int64_t g;
  };

  template <bool kHasZeros>
  static void tiles(const FloatWork& work) {
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      rows<kHasZeros, Arch::kFewRows>(work, 0, j);
    }
  }
  template <bool kHasZeros, int kRows>
  static void rows(const FloatWork& work, int64_t m, int64_t j) {
    for (; m + kRows <= work.M; m += kRows) tile<kHasZeros, kRows>(work, m, j);
    if constexpr (kRows > 1) rows<kHasZeros, kRows / 2>(work, m, j);
  }

  // Sums of one row hide the latency of an FMA in several chains.
  template <int kRows>
  static constexpr int chains() {
    return kRows >= 4 ? 1 : 4 / kRows;
  }

  template <bool kHasZeros, int kRows>
  static void tile(const FloatWork& work, int64_t m, int64_t j) {
    const WeightShape& shape = work.weight->shape;
    Source source{{}, tile_parts(*work.weight, work.n_begin + j), V::zero()};
    const Input input{input_row<X>(work, m), work.x_stride};
    const int64_t group_size = kRow.group != 0 ? kRow.group : shape.group_size;

    F total[kRows];
    for (F& sum : total) sum = V::zero();
    for (int64_t g = 0; g < shape.num_groups; ++g) {
      const int64_t begin = g * group_size;
      const int64_t end = smaller(begin + group_size, shape.K);
      constexpr int kChains = chains<kRows>();
      F acc[kRows][kChains];
      for (auto& row : acc) {
        for (F& sum : row) sum = V::zero();
      }
      if constexpr (kHasZeros) {
        source.zero =
            V::template load<TSR_F32>(source.parts.zeros, g * kTileCols);
      }
      // Addresses of many rows are a good part of a short step.
      TSR_UNROLL_4
      for (int64_t k = begin; k < end; k += kBlock) {
        block<kHasZeros, 0>(source, input, k, acc);
      }
      for (int r = 0; r < kRows; ++r) {
        F sum = acc[r][0];
        for (int c = 1; c < kChains; ++c) sum = V::add(sum, acc[r][c]);
        acc[r][0] = sum;
      }
      finish_group<kHasZeros>(work, {m, g}, source, acc, total);
    }
    for (int r = 0; r < kRows; ++r) {
      V::template store<TSR_F32>(work.sums, (m + r) * kChunkCols + j, total[r]);
    }
  }

  template <bool kHasZeros, int kStep, int kRows, int kChains>
  [[gnu::always_inline]] static void block(const Source& source,
                                           const Input& input, int64_t k,
                                           F (&acc)[kRows][kChains]) {
    const TileParts& parts = source.parts;
    typename Arch::W w[kVectors];
    Arch::template unpack<kFormat, kStep, kHasZeros>(
        source.tables, parts.codes + (k / kColumns + kStep) * 64,
        kSteps == 1 ? nullptr : parts.high + k / kBlock * 64, w);
    TSR_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (kHasZeros && !Arch::kZerosAreMins)
        w[v] = V::sub(w[v], source.zero);
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const X* in = input.x + r * input.stride + k + kColumns * kStep +
                      v * Arch::kColumnsOfW;
        acc[r][v % kChains] = Arch::add(acc[r][v % kChains], w[v], in);
      }
    }
    if constexpr (kStep + 1 < kSteps) {
      block<kHasZeros, kStep + 1>(source, input, k, acc);
    }
  }

  // total += scale * sum + min * (sum of x).
  template <bool kHasZeros, int kRows, int kChains>
  [[gnu::always_inline]] static void finish_group(const FloatWork& work,
                                                  GroupPlace place,
                                                  const Source& source,
                                                  F (&acc)[kRows][kChains],
                                                  F (&total)[kRows]) {
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
