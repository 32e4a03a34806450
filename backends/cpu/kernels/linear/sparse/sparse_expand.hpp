// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a kSparseTiles weight as those of kI8Tiles, which every kernel
// reads.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/linear/expand_rows.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

inline constexpr int64_t kSparseRows = 256;  // of a book
inline constexpr int64_t kSparseCols = 128;
inline constexpr int64_t kBookBytes = 16;
inline constexpr uint8_t kEscape = 15;
// Rows of x that the fused kernel takes at once.
inline constexpr int64_t kFewSparseRows = 8;

// Columns of K that a slice has.  64 rows of them are 24 KiB, which stay in L1
// while the rows of x pass by.
inline constexpr int64_t kSparseSlice = 384;
static_assert(kSparseSlice % kSparseCols == 0);

// 16 rows of a kSparseTiles weight, or of some of its columns.
struct SparseTile {
  const uint8_t* nibbles;  // [padded_K / 8][64]
  const uint8_t* books;    // [K / 128][16]
  const uint8_t* escapes;  // 64 bytes may be read past the last
  int64_t padded_K;
};
SparseTile sparse_tile(const LinearWeight& weight, int64_t tile);

// Of all columns; where kernels take no slices.
ExpandRows sparse_expander(Isa best);

// Writes the tile's codes as kI8Tiles has them, 16 padded_K bytes; returns
// where the escapes of the columns after it begin.
using ExpandSparseTile = const uint8_t* (*)(const SparseTile& tile,
                                            uint8_t* codes);
const uint8_t* expand_sparse_scalar(const SparseTile& tile, uint8_t* codes);
const uint8_t* expand_sparse_avx2(const SparseTile& tile, uint8_t* codes);
const uint8_t* expand_sparse_avx512bf16(const SparseTile& tile, uint8_t* codes);

// Up to kChunkCols rows of a weight of one group, expanded slice by slice.
class SparseSlices {
 public:
  // Rows from n on, a multiple of kTileCols.  `codes` has room for a slice of
  // the rows.
  SparseSlices(const LinearWeight& weight, int64_t n, int64_t num_rows,
               Isa best, uint8_t* codes);

  // The next slice, until the next call; its first column is *out_begin.  Null
  // after the last.  The sums of codes are those of all columns.
  const LinearWeight* next(int64_t* out_begin);

 private:
  ExpandSparseTile expand_;
  int64_t K_;
  int64_t num_tiles_;
  int64_t begin_ = 0;  // of the next slice
  uint8_t* codes_;
  SparseTile tiles_[kChunkCols / kTileCols];  // what is left of each
  LinearWeight slice_;
};

}  // namespace tessera::cpu
