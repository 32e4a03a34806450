// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_FIXED: tiles of 4-bit codes with a book and escapes, back to s8.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::reference {

// The s8 codes [N, K] of a SPARSE_FIXED weight; tessera/types.h draws a tile.
//
// Shapes  index: I64 [tiles + 1], row by row of tiles of 256 x 128
// Errors  INVALID_ARGUMENT, naming the tile, if it leaves `codes`, or its
//         escapes or padding do not fill it exactly
Result<std::vector<int8_t>> expand_sparse_tiles(
    uint32_t N, uint32_t K, std::span<const std::byte> codes,
    const std::byte* index);

}  // namespace tessera::reference
