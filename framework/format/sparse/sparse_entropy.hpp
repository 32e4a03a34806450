// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_ENTROPY: the tiles of SPARSE_FIXED behind an entropy code, for files.
// docs/sparse_container.md tells how the code was chosen.  A tile:
//
//   0  book i8[16]          as in SPARSE_FIXED
//   16 frequencies          12 bits each, low first: of nibbles 0..15, of 2048
//   40 escape_min u8        the smallest magnitude of an escape
//   41 rice_bits u8         0..7
//   42 num_words u16
//   44 states u32[4]        nibble i of the tile belongs to state i % 4
//   60 words u16[num_words] rANS, sparse_rans.hpp
//   .. escapes              a bit stream, low first: sign (1: negative), then
//                           magnitude - escape_min as a Rice code (quotient in
//                           ones, a zero, rice_bits low bits); zero bits up to
//                           a byte

#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/sparse/sparse_tile.hpp"

namespace tessera::format {

// The same codes as SPARSE_ENTROPY tiles.
//
// Errors  those of decode_sparse_fixed
Result<SparseTiles> encode_sparse_entropy(const SparseTiles& fixed);

// Appends the SPARSE_FIXED form of one tile; needs no other tile.
//
// Errors  INVALID_ARGUMENT if the tile is damaged
Status expand_sparse_entropy_tile(std::span<const std::byte> tile,
                                  const SparseTileShape& shape,
                                  std::vector<std::byte>& out_fixed);

// The SPARSE_FIXED form, byte for byte what was encoded.
//
// Errors  INVALID_ARGUMENT, naming the tile, if the index does not fit or a
//         tile is damaged
Result<SparseTiles> expand_sparse_entropy(const SparseTiles& entropy);

}  // namespace tessera::format
