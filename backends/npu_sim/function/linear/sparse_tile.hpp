// SPDX-License-Identifier: Apache-2.0
//
// What the weight-unzip engine does to one tile of a SPARSE_FIXED weight, as
// tessera/types.h draws it.

#pragma once

#include <cstdint>
#include <span>

namespace tessera::npu {

constexpr int64_t kSparseTileRows = 256;
constexpr int64_t kSparseTileColumns = 128;

// An edge tile keeps its true size.
struct SparseTile {
  int64_t rows = kSparseTileRows;
  int64_t columns = kSparseTileColumns;
};

// Expands `bytes` to the codes of a tile; `stride` is between rows of the
// result.
//
// Errors   throws sdk::Error DATA_LOSS if the bytes end before the codes do
void decode_sparse_tile(std::span<const uint8_t> bytes, const SparseTile& tile,
                        int16_t* out_codes, int64_t stride);

}  // namespace tessera::npu
