// SPDX-License-Identifier: Apache-2.0
//
// Packing of weights of layout kFormatTiles.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {

// What rows n_begin .. n_end - 1 are packed from: the planes of a slice.
struct FormatSlice {
  tsr_plane codes;
  tsr_plane scale;
  tsr_plane scale2;
  int64_t n_begin;
  int64_t n_end;
};

// Packs whole tiles, the missing rows of the last one as zeros.
//
// Requires  shape.layout == kFormatTiles and planes that fit it; n_begin a
//           multiple of kTileCols
void pack_format_rows(const WeightShape& shape, const FormatSlice& slice,
                      std::byte* packed);

}  // namespace tessera::cpu
