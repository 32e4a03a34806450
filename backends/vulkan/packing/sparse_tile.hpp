// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_FIXED tiles, as types.h draws them, into plain s8 rows.

#pragma once

#include <cstdint>
#include <vector>

#include "tessera/types.h"

namespace tessera::vulkan {

// The codes of all rows, [N, K].
//
// Errors  throws Error INVALID_ARGUMENT, naming the tile, if the planes have no
//         data, a tile does not lie in `codes`, or has too few bytes
std::vector<int8_t> expand_sparse(const tsr_plane& codes,
                                  const tsr_plane& index, int64_t N, int64_t K);

}  // namespace tessera::vulkan
