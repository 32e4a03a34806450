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

ExpandSparse sparse_expander(Isa best) {
#if defined(__x86_64__)
  if (best >= Isa::kAvx512Bf16) return expand_sparse_avx512bf16;
  if (best >= Isa::kAvx2) return expand_sparse_avx2;
#endif
  (void)best;
  return expand_sparse_scalar;
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

WeightShape expanded_shape(const WeightShape& shape) {
  WeightShape expanded = shape;
  expanded.layout = Layout::kI8Tiles;
  expanded.tile_bytes = shape.padded_K * kTileCols;
  return expanded;
}

LinearWeight expand_rows(const LinearWeight& weight, ExpandSparse expand,
                         int64_t n, int64_t num_rows, uint8_t* codes) {
  LinearWeight rows;
  rows.shape = expanded_shape(weight.shape);
  rows.shape.N = num_rows;
  const int64_t first = n / kTileCols;
  for (int64_t i = 0; i * kTileCols < num_rows; ++i) {
    expand(sparse_tile(weight, first + i), codes + i * rows.shape.tile_bytes);
  }
  const int64_t blocked = first * weight.shape.num_groups * kTileCols;
  rows.codes = reinterpret_cast<const std::byte*>(codes);
  rows.sums = weight.sums + blocked;
  rows.scales = weight.scales + blocked;
  rows.scale_codes = reinterpret_cast<const std::byte*>(rows.scales);
  return rows;
}

}  // namespace tessera::cpu
