// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a kSparseTiles weight as those of kI8Tiles, which every kernel
// reads.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/linear/expand_rows.hpp"

namespace tessera::cpu {

inline constexpr int64_t kSparseRows = 256;  // of a book
inline constexpr int64_t kSparseCols = 128;
inline constexpr int64_t kBookBytes = 16;
inline constexpr uint8_t kEscape = 15;
// Rows of x that the fused kernel takes at once.
inline constexpr int64_t kFewSparseRows = 8;

// 16 rows of a kSparseTiles weight.
struct SparseTile {
  const uint8_t* nibbles;  // [padded_K / 8][64]
  const uint8_t* books;    // [K / 128][16]
  const uint8_t* escapes;  // 64 bytes may be read past the last
  int64_t padded_K;
};
SparseTile sparse_tile(const LinearWeight& weight, int64_t tile);

ExpandRows sparse_expander(Isa best);

// Writes the tile's codes as kI8Tiles has them, 16 padded_K bytes.
void expand_sparse_scalar(const SparseTile& tile, uint8_t* codes);
void expand_sparse_avx2(const SparseTile& tile, uint8_t* codes);
void expand_sparse_avx512bf16(const SparseTile& tile, uint8_t* codes);

}  // namespace tessera::cpu
