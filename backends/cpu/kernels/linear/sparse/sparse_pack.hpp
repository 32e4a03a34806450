// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_FIXED tiles, as types.h draws them, into those of kSparseTiles.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {

// The escapes that CODES of so many bytes have room for, at most.
int64_t max_escapes(int64_t codes_bytes, int64_t N, int64_t K);

// Writes all sections of `packed` but scales.
//
// Errors  throws Error INVALID_ARGUMENT, naming the tile, if the planes have no
//         data, a tile does not lie in `codes`, or has too few bytes
void pack_sparse(const WeightShape& shape, const tsr_plane& codes,
                 const tsr_plane& index, std::byte* packed);

}  // namespace tessera::cpu
