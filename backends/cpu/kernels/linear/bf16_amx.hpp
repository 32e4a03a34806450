// SPDX-License-Identifier: Apache-2.0
//
// The products of Bf16Panel by tiles of AMX: 16 lines of a panel, or of a
// packed tile of bf16, are a tile register as they lie in memory.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_groups.hpp"
#include "backends/cpu/kernels/amx/amx_product.hpp"
#include "backends/cpu/kernels/linear/bf16_parts.hpp"

namespace tessera::cpu {

// Scales the sums of a group of one tile, and adds mins times sums of x.
template <bool kHasMins>
class Bf16GroupScale {
  using V = Avx512;

 public:
  static constexpr bool kBegins = false;

  // From row m, column j and group `first` of `part` on.
  Bf16GroupScale(const FloatWork& work, const Bf16Groups& part, int64_t m,
                 int64_t j, int64_t first)
      : scales_(part.scales + first * kChunkCols + j),
        mins_(part.mins + first * kChunkCols + j),
        x_sums_(work.x_sums + m * work.x_sums_stride +
                part.begin / part.group_size + first),
        x_sums_stride_(work.x_sums_stride),
        rows_(work.M - m) {}

  struct OfGroup {
    __m512 scale;
    __m512 min;
    const float* x_sums;
    int64_t x_sums_stride;
    int64_t rows;

    __m512 add(int row, __m512i sums, __m512 total) const {
      total = _mm512_fmadd_ps(_mm512_castsi512_ps(sums), scale, total);
      if constexpr (kHasMins) {
        if (row < rows) {
          total = _mm512_fmadd_ps(_mm512_set1_ps(x_sums[row * x_sums_stride]),
                                  min, total);
        }
      }
      return total;
    }
  };
  OfGroup of_group(int64_t group) const {
    const int64_t place = group * kChunkCols;
    return {_mm512_loadu_ps(scales_ + place),
            kHasMins ? _mm512_loadu_ps(mins_ + place) : _mm512_setzero_ps(),
            x_sums_ + group, x_sums_stride_, rows_};
  }

 private:
  const float* scales_;
  const float* mins_;
  const float* x_sums_;
  int64_t x_sums_stride_;
  int64_t rows_;
};

// `Tiles` has the members of AmxTiles.
template <typename Tiles>
struct Bf16Amx {
  template <int kFormat>
  class Product {
    using Format = Bf16Format<kFormat>;
    using Tiled = AmxProduct<Tiles, AmxKind::kBf16>;
    static constexpr int64_t kElement = sizeof(uint16_t);
    // Rows whose sums wait in the rest of the panel for their scales.
    static constexpr int64_t kWaiting = 64;
    static constexpr int64_t kPairFloats = kChunkCols * kPanelDepth / 2;
    static_assert(2 * kPairFloats <= kPanelFloats);

   public:
    template <bool kHasZeros>
    static void multiply(const FloatWork& work, const Bf16Part& part) {
      AmxScope<Tiles> scope;
      if constexpr (Format::kIsPlain) {
        Tiled::run(scope, operands(work, part, {0, work.M}, work.sums,
                                   !part.is_first));
      } else {
        float* sums = work.panel + kPanelFloats - kWaiting * kChunkCols;
        for (int64_t m = 0; m < work.M; m += kWaiting) {
          const Rows rows{m, smaller(kWaiting, work.M - m)};
          Tiled::run(scope, operands(work, part, rows, sums, false));
          finish<kHasZeros>(work, part, rows, sums);
        }
      }
    }

    template <bool kHasZeros>
    static void multiply_groups(const FloatWork& work, const Bf16Groups& part) {
      const int64_t whole = (part.end - part.begin) / part.group_size;
      const int64_t rest = part.end - part.begin - whole * part.group_size;
      AmxScope<Tiles> scope;
      for (int64_t m = 0; m < work.M; m += kAmxRows) {
        for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
          if (whole > 0) {
            groups<kHasZeros>(scope, work, part,
                              {m, j, 0, whole, part.group_size});
          }
          if (rest > 0) {
            groups<kHasZeros>(scope, work, part, {m, j, whole, 1, rest});
          }
        }
      }
    }

   private:
    struct Rows {
      int64_t begin;
      int64_t count;
    };
    static AmxOperands operands(const FloatWork& work, const Bf16Part& part,
                                Rows rows, float* sums, bool adds) {
      return {rows.count,
              (work.num_cols + kTileCols - 1) / kTileCols,
              (part.end - part.begin) * kElement,
              work.x16 + rows.begin * work.x_stride + part.begin,
              work.x_stride * kElement,
              part.w,
              kAmxRowBytes,
              part.tile_bytes,
              sums,
              kChunkCols * int64_t{sizeof(float)},
              adds};
    }

    template <bool kHasZeros>
    static void finish(const FloatWork& work, const Bf16Part& part, Rows rows,
                       const float* sums) {
      for (int64_t m = 0; m < rows.count; ++m) {
        for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
          finish_part<kFormat, kHasZeros>(
              work, part, rows.begin + m, j,
              Avx512::load<TSR_F32>(sums, m * kChunkCols + j));
        }
      }
    }

    struct Place {
      int64_t m;
      int64_t j;
      int64_t first;  // of `count` groups of `depth` columns
      int64_t count;
      int64_t depth;
    };
    template <bool kHasZeros>
    static void groups(AmxScope<Tiles>& scope, const FloatWork& work,
                       const Bf16Groups& part, Place place) {
      using Scale = Bf16GroupScale<Format::kRow.has_mins || kHasZeros>;
      const int64_t begin = place.first * part.group_size;
      AmxGroupProduct<Tiles, AmxKind::kBf16, Scale>::run(
          scope,
          {smaller(kAmxRows, work.M - place.m), place.count,
           Format::padded(place.depth) * kElement,
           work.x16 + place.m * work.x_stride + part.begin + begin,
           work.x_stride * kElement,
           part.w + place.j / kTileCols * kPanelTileBytes +
               begin * kTileCols * kElement,
           work.sums + place.m * kChunkCols + place.j, kChunkCols,
           part.begin > 0 || place.first > 0},
          {work, part, place.m, place.j, place.first});
    }
  };
};

}  // namespace tessera::cpu
