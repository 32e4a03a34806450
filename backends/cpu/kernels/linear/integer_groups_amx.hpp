// SPDX-License-Identifier: Apache-2.0
//
// Integer sums by tiles of AMX where 8-bit codes have scales per group.

#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_groups.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

// Scales the i32 sums of a group of one tile and takes off what the zero points
// of x add: sums begin with minus that.
class I8GroupScale {
 public:
  static constexpr bool kBegins = true;

  // Of rows from m on; groups are counted from `first`.
  I8GroupScale(const GroupsWork& work, int64_t m, int64_t rows, int64_t tile,
               int64_t first)
      : x_zeros_(work.x_zeros + m), rows_(rows) {
    const int64_t blocked =
        (tile * work.weight->shape.num_groups + first) * kTileCols;
    sums_ = work.weight->sums + blocked;
    scales_ = work.weight->scales + blocked;
    for (int64_t r = 1; r < rows; ++r) {
      zeros_differ_ = zeros_differ_ || x_zeros_[r] != x_zeros_[0];
    }
  }

  int64_t begin(int64_t group, int32_t* lines) const {
    const __m512i sums = _mm512_loadu_si512(sums_ + group * kTileCols);
    const int64_t count = zeros_differ_ ? rows_ : 1;
    for (int64_t r = 0; r < count; ++r) {
      const __m512i zeros = _mm512_mullo_epi32(
          sums, _mm512_sub_epi32(_mm512_setzero_si512(),
                                 _mm512_set1_epi32(x_zeros_[r])));
      _mm512_storeu_si512(lines + r * kTileCols, zeros);
    }
    return zeros_differ_ ? kTileCols * int64_t{sizeof(int32_t)} : 0;
  }

  struct OfGroup {
    __m512 scale;
    __m512 add(int /*row*/, __m512i sums, __m512 total) const {
      return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scale, total);
    }
  };
  OfGroup of_group(int64_t group) const {
    return {_mm512_loadu_ps(scales_ + group * kTileCols)};
  }

 private:
  const int32_t* x_zeros_;
  int64_t rows_;
  const int32_t* sums_;
  const float* scales_;
  bool zeros_differ_ = false;
};

// `Tiles` has the members of AmxTiles.
template <typename Tiles>
class IntegerGroupsAmx {
 public:
  static void run(const GroupsWork& work) {
    const WeightShape& shape = work.weight->shape;
    const int64_t whole = shape.K / shape.group_size;
    const int64_t part =
        shape.group_size < kDepth ? kDepth / shape.group_size : 1;
    AmxScope<Tiles> scope;
    for (int64_t g = 0; g < whole; g += part) {
      all_blocks(scope, work, g, g + part < whole ? part : whole - g);
    }
    if (whole < shape.num_groups) all_blocks(scope, work, whole, 1);
  }

 private:
  // Columns of K at a time: 64 rows of W and 16 of x stay in L1.
  static constexpr int64_t kDepth = 512;

  static void all_blocks(AmxScope<Tiles>& scope, const GroupsWork& work,
                         int64_t first, int64_t num_groups) {
    for (int64_t m = 0; m < work.M; m += kAmxRows) {
      for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
        groups(scope, work, {m, j, first, num_groups});
      }
    }
  }

  struct Place {
    int64_t m;
    int64_t j;
    int64_t first;  // of num_groups groups, all of one depth
    int64_t num_groups;
  };

  static void groups(AmxScope<Tiles>& scope, const GroupsWork& work,
                     Place place) {
    const WeightShape& shape = work.weight->shape;
    const int64_t left = work.M - place.m;
    const int64_t rows = left < kAmxRows ? left : kAmxRows;
    const int64_t tile = (work.n_begin + place.j) / kTileCols;
    const int64_t begin = place.first * shape.group_size;
    const int64_t end = begin + shape.group_size;
    // Codes past K are 0.
    const int64_t depth = (end < shape.K ? end : shape.K) - begin;
    AmxGroupProduct<Tiles, AmxKind::kU8S8, I8GroupScale>::run(
        scope,
        {rows, place.num_groups,
         (depth + kAmxLineBytes - 1) / kAmxLineBytes * kAmxLineBytes,
         work.x + place.m * work.x_stride + begin, work.x_stride,
         work.weight->codes + tile * shape.tile_bytes + begin * kTileCols,
         work.groups + place.m * kChunkCols + place.j, kChunkCols,
         place.first > 0},
        {work, place.m, rows, tile, place.first});
  }
};

}  // namespace tessera::cpu
