// SPDX-License-Identifier: Apache-2.0
//
// Whole tiles are expanded, and the wanted part of each kept.

#include "backends/npu_sim/execution/sparse_region.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "backends/npu_sim/function/linear/sparse_tile.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

// The stored bytes of tile (i, j).
std::span<const uint8_t> tile_bytes(const Memory& gm, int64_t i, int64_t j) {
  const int64_t across =
      (gm.sparse_columns + kSparseTileColumns - 1) / kSparseTileColumns;
  const auto number = static_cast<size_t>(i * across + j);
  if (number + 1 >= gm.sparse_index.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: no sparse tile " + std::to_string(number));
  }
  const int64_t begin = gm.sparse_index[number];
  const int64_t end = gm.sparse_index[number + 1];
  if (begin < 0 || end < begin ||
      end > static_cast<int64_t>(gm.sparse_codes.size())) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "memory: sparse tile " +
                                               std::to_string(number) +
                                               " lies outside its codes");
  }
  return {gm.sparse_codes.data() + begin, static_cast<size_t>(end - begin)};
}

// The part of tile (i, j) that lies in the region.
void copy_part(const Memory& gm, const Region& region, int64_t i, int64_t j,
               std::vector<int8_t>& out) {
  const int64_t row = i * kSparseTileRows;
  const int64_t column = j * kSparseTileColumns;
  const SparseTile tile{
      std::min(kSparseTileRows, gm.sparse_rows - row),
      std::min(kSparseTileColumns, gm.sparse_columns - column)};
  std::vector<int16_t> codes(static_cast<size_t>(tile.rows * tile.columns));
  decode_sparse_tile(tile_bytes(gm, i, j), tile, codes.data(), tile.columns);
  const int64_t r_end = std::min(row + tile.rows, region.row + region.rows);
  const int64_t c_end =
      std::min(column + tile.columns, region.column + region.columns);
  for (int64_t r = std::max(row, region.row); r < r_end; ++r) {
    for (int64_t c = std::max(column, region.column); c < c_end; ++c) {
      out[static_cast<size_t>((r - region.row) * region.columns + c -
                              region.column)] =
          static_cast<int8_t>(codes[static_cast<size_t>(
              (r - row) * tile.columns + c - column)]);
    }
  }
}

}  // namespace

std::vector<int8_t> expand_region(const Memory& gm, const Region& region) {
  if (region.row < 0 || region.column < 0 ||
      region.rows > gm.sparse_rows - region.row ||
      region.columns > gm.sparse_columns - region.column) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "memory: rows " + std::to_string(region.row) + " and " +
                         "columns " + std::to_string(region.column) +
                         " leave the sparse weight");
  }
  std::vector<int8_t> codes(static_cast<size_t>(region.rows * region.columns));
  const int64_t last_i = (region.row + region.rows - 1) / kSparseTileRows;
  const int64_t last_j =
      (region.column + region.columns - 1) / kSparseTileColumns;
  for (int64_t i = region.row / kSparseTileRows; i <= last_i; ++i) {
    for (int64_t j = region.column / kSparseTileColumns; j <= last_j; ++j) {
      copy_part(gm, region, i, j, codes);
    }
  }
  return codes;
}

}  // namespace tessera::npu
