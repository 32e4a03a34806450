// SPDX-License-Identifier: Apache-2.0
//
// Rows of a weight whose codes are stored in fewer bits as tiles of kI8Tiles,
// in a worker's scratch: for kernels that read no others.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {

struct ExpandScratch {
  uint8_t* codes;  // 16 padded_K bytes a tile
  int32_t* sums;   // [tiles, groups, 16]
};

// Rows n .. n + num_rows - 1 as a weight of kI8Tiles, valid as long as
// `scratch` and `weight` are; n is a multiple of kTileCols.  Has no planes but
// scales.
using ExpandRows = LinearWeight (*)(const LinearWeight& weight, int64_t n,
                                    int64_t num_rows,
                                    const ExpandScratch& scratch);

// The shape of that weight in kI8Tiles.
WeightShape expanded_shape(const WeightShape& shape);

// What ExpandRows returns, but for the sums; the codes are still to be written.
LinearWeight expanded_weight(const LinearWeight& weight, int64_t n,
                             int64_t num_rows, const uint8_t* codes);

// Groups of at least so many columns of a kU4Tiles weight can be expanded.
inline constexpr int64_t kMinExpandedGroup = 32;

// Of a kU4Tiles weight; adds up the codes of each group.  For AVX-512 VNNI.
LinearWeight expand_u4(const LinearWeight& weight, int64_t n, int64_t num_rows,
                       const ExpandScratch& scratch);

struct ColumnRange {
  int64_t begin;
  int64_t end;
};

// One group of one tile: from all its `nibbles` to all its `codes`, and the
// group's 16 `sums`.  Columns past the end are 0, not what a code of 0 stands
// for.
void expand_u4_group_avx512vnni(const uint8_t* nibbles, ColumnRange group,
                                uint8_t* codes, int32_t* sums);

}  // namespace tessera::cpu
