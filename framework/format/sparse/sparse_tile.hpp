// SPDX-License-Identifier: Apache-2.0
//
// SPARSE_FIXED: s8 codes in tiles of nibbles with a book and escapes, as
// tessera/types.h draws them.  Lossless.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"

namespace tessera::format {

inline constexpr uint32_t kSparseTileRows = 256;
inline constexpr uint32_t kSparseTileCols = 128;
inline constexpr uint32_t kSparseLevels = 15;  // codes that a nibble can hold
inline constexpr size_t kSparseBookBytes = 16;

// Tiles of W[N, K], one row of tiles after another.  Edge tiles are smaller.
struct SparseTiles {
  uint32_t N = 0;
  uint32_t K = 0;
  std::vector<std::byte> codes;
  std::vector<int64_t> index;  // [tiles + 1]: where each begins, then the end
};

// What one tile covers.
struct SparseTileShape {
  uint32_t row;  // of its first element in W
  uint32_t col;
  uint32_t rows;
  uint32_t cols;

  uint64_t elements() const { return uint64_t{rows} * cols; }
  // Of the book and the nibbles of a SPARSE_FIXED tile.
  size_t fixed_head_bytes() const {
    return kSparseBookBytes + size_t{rows} * ((cols + 1) / 2);
  }
};

uint64_t num_sparse_tiles(uint32_t N, uint32_t K);

// Tile number `tile` in the order of the index.
SparseTileShape sparse_tile_shape(uint32_t N, uint32_t K, uint64_t tile);

// The codes as SPARSE_FIXED tiles.  The book of a tile holds its most frequent
// codes, which makes the tile as short as the drawing allows: of equally
// frequent ones the smaller; ascending, then zeros.
//
// Shapes  codes: [N, K]
// Errors  INVALID_ARGUMENT if N or K is 0 or `codes` has another size
Result<SparseTiles> encode_sparse_fixed(uint32_t N, uint32_t K,
                                        std::span<const int8_t> codes);

// Writes one tile to its place in out_codes [N, K]; needs no other tile.
//
// Errors  INVALID_ARGUMENT, with the sizes, unless nibbles, escapes and padding
//         fill `tile` exactly and the padding is zero
Status decode_sparse_tile(std::span<const std::byte> tile,
                          const SparseTileShape& shape, int8_t* out_codes,
                          uint32_t K);

// The codes [N, K].
//
// Errors  INVALID_ARGUMENT, naming the tile, if the index is not ascending from
//         0 to the end of `codes`, or a tile is damaged
Result<std::vector<int8_t>> decode_sparse_fixed(const SparseTiles& tiles);

// The same of a SPARSE_FIXED weight.
Result<std::vector<int8_t>> decode_sparse_fixed(const WeightData& weight);

// Bytes of tile `tile`.
// Errors  INVALID_ARGUMENT if the index leaves `tiles.codes`
Result<std::span<const std::byte>> sparse_tile_bytes(const SparseTiles& tiles,
                                                     uint64_t tile);

// INVALID_ARGUMENT unless N and K are set and the index has an entry per tile,
// ascending from 0 to the end of the codes.
Status check_sparse_index(const SparseTiles& tiles);

// The weight with those codes and `scale`, a SCALE plane.
//
// Errors  INVALID_ARGUMENT if the codes are more than one plane can hold, or
//         check_weight finds fault
Result<WeightData> sparse_fixed_weight(SparseTiles tiles, Plane scale);

}  // namespace tessera::format
