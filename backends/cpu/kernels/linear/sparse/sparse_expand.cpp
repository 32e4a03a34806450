// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"

#include <algorithm>

namespace tessera::cpu {

SparseTile sparse_tile(const LinearWeight& weight, int64_t tile) {
  const WeightShape& shape = weight.shape;
  const auto bytes = [](const std::byte* section) {
    return reinterpret_cast<const uint8_t*>(section);
  };
  const int64_t books = (shape.K + kSparseCols - 1) / kSparseCols * kBookBytes;
  const int64_t strip = tile * kTileCols / kSparseRows;
  return {bytes(weight.codes) + tile * shape.tile_bytes,
          bytes(weight.books) + strip * books,
          bytes(weight.escapes) + weight.starts[tile], shape.padded_K};
}

namespace {

template <ExpandSparseTile kExpand>
LinearWeight expand(const LinearWeight& weight, int64_t n, int64_t num_rows,
                    const ExpandScratch& scratch) {
  LinearWeight rows = expanded_weight(weight, n, num_rows, scratch.codes);
  rows.sums = weight.sums + n * weight.shape.num_groups;
  for (int64_t i = 0; i * kTileCols < num_rows; ++i) {
    kExpand(sparse_tile(weight, n / kTileCols + i),
            scratch.codes + i * rows.shape.tile_bytes);
  }
  return rows;
}

ExpandSparseTile tile_expander(Isa best) {
#if defined(__x86_64__)
  if (best >= Isa::kAvx512Bf16) return expand_sparse_avx512bf16;
  if (best >= Isa::kAvx2) return expand_sparse_avx2;
#endif
  (void)best;
  return expand_sparse_scalar;
}

}  // namespace

ExpandRows sparse_expander(Isa best) {
#if defined(__x86_64__)
  if (best >= Isa::kAvx512Bf16) return expand<expand_sparse_avx512bf16>;
  if (best >= Isa::kAvx2) return expand<expand_sparse_avx2>;
#endif
  (void)best;
  return expand<expand_sparse_scalar>;
}

SparseSlices::SparseSlices(const LinearWeight& weight, int64_t n,
                           int64_t num_rows, Isa best, uint8_t* codes)
    : expand_(tile_expander(best)),
      K_(weight.shape.K),
      num_tiles_((num_rows + kTileCols - 1) / kTileCols),
      codes_(codes),
      slice_(expanded_weight(weight, n, num_rows, codes)) {
  slice_.sums = weight.sums + n;
  for (int64_t i = 0; i < num_tiles_; ++i) {
    tiles_[i] = sparse_tile(weight, n / kTileCols + i);
  }
}

const LinearWeight* SparseSlices::next(int64_t* out_begin) {
  if (begin_ >= K_) return nullptr;
  WeightShape& shape = slice_.shape;
  shape.K = std::min(kSparseSlice, K_ - begin_);
  shape.padded_K = std::min(kSparseSlice, tiles_[0].padded_K);
  shape.group_size = shape.K;
  shape.tile_bytes = shape.padded_K * kTileCols;
  for (int64_t i = 0; i < num_tiles_; ++i) {
    SparseTile& left = tiles_[i];
    SparseTile tile = left;
    tile.padded_K = shape.padded_K;
    left.escapes = expand_(tile, codes_ + i * shape.tile_bytes);
    left.nibbles += shape.padded_K / 8 * 64;
    left.books += kSparseSlice / kSparseCols * kBookBytes;
    left.padded_K -= shape.padded_K;
  }
  *out_begin = begin_;
  begin_ += shape.K;
  return &slice_;
}

const uint8_t* expand_sparse_scalar(const SparseTile& tile, uint8_t* codes) {
  const uint8_t* escapes = tile.escapes;
  const uint8_t* nibbles = tile.nibbles;
  for (int64_t k = 0; k < tile.padded_K; k += 8, nibbles += 64) {
    const uint8_t* book = tile.books + k / kSparseCols * kBookBytes;
    for (const int shift : {0, 4}) {
      for (int i = 0; i < 64; ++i) {
        const auto nibble = static_cast<uint8_t>(nibbles[i] >> shift & 15);
        *codes++ = nibble == kEscape ? *escapes++ : book[nibble];
      }
    }
  }
  return escapes;
}

}  // namespace tessera::cpu
