// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"

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

template <void (*kExpand)(const SparseTile& tile, uint8_t* codes)>
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

}  // namespace

ExpandRows sparse_expander(Isa best) {
#if defined(__x86_64__)
  if (best >= Isa::kAvx512Bf16) return expand<expand_sparse_avx512bf16>;
  if (best >= Isa::kAvx2) return expand<expand_sparse_avx2>;
#endif
  (void)best;
  return expand<expand_sparse_scalar>;
}

void expand_sparse_scalar(const SparseTile& tile, uint8_t* codes) {
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
}

}  // namespace tessera::cpu
