// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/sparse_tile.hpp - SPARSE_FIXED tiles, as tessera/types.h
// draws them, into plain s8 rows.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/packing/plane_data.hpp"

namespace tessera::sdk::packing {

namespace detail {

inline constexpr int64_t kSparseRows = 256;
inline constexpr int64_t kSparseCols = 128;
inline constexpr int64_t kBookBytes = 16;
inline constexpr uint32_t kEscape = 15;

// One tile: its bytes, and the part of [N, K] that it fills.
struct SparseTile {
  const std::byte* bytes;
  int64_t num_bytes;
  int64_t rows;
  int64_t cols;
  int8_t* out;
  int64_t out_stride;
};

// False if the tile is too short.
inline bool expand_tile(const SparseTile& tile) {
  const int64_t nibble_row = (tile.cols + 1) / 2;
  int64_t next_escape = kBookBytes + tile.rows * nibble_row;
  if (tile.num_bytes < next_escape) return false;
  for (int64_t r = 0; r < tile.rows; ++r) {
    const std::byte* row = tile.bytes + kBookBytes + r * nibble_row;
    for (int64_t c = 0; c < tile.cols; ++c) {
      const auto pair = std::to_integer<uint32_t>(row[c / 2]);
      const uint32_t code = c % 2 == 0 ? pair & 15U : pair >> 4;
      int64_t place = code;
      if (code == kEscape) {
        place = next_escape++;
        if (place >= tile.num_bytes) return false;
      }
      tile.out[r * tile.out_stride + c] =
          load_as<int8_t>(tile.bytes, static_cast<uint64_t>(place));
    }
  }
  return true;
}

[[noreturn]] inline void damaged(int64_t tile, int64_t begin, int64_t end,
                                 int64_t num_bytes) {
  throw Error(TSR_INVALID_ARGUMENT,
              "sparse tile " + std::to_string(tile) + ": bytes " +
                  std::to_string(begin) + " to " + std::to_string(end) +
                  " of " + std::to_string(num_bytes) + " do not hold it");
}

}  // namespace detail

// The codes of all rows, [N, K].
//
// Errors  throws Error INVALID_ARGUMENT, naming the tile, if the planes have no
//         data, a tile does not lie in `codes`, or has too few bytes
inline std::vector<int8_t> expand_sparse(const tsr_plane& codes,
                                         const tsr_plane& index, int64_t N,
                                         int64_t K) {
  if (codes.data == nullptr || index.data == nullptr) {
    throw Error(TSR_INVALID_ARGUMENT, "sparse weight without data");
  }
  const int64_t num_bytes = codes.cols;
  if (num_bytes < N * K / 2) {  // before memory is asked for
    throw Error(TSR_INVALID_ARGUMENT,
                std::to_string(num_bytes) + " bytes of sparse codes for " +
                    std::to_string(N) + " x " + std::to_string(K));
  }
  std::vector<int8_t> values(static_cast<size_t>(N * K));
  uint64_t tile = 0;
  for (int64_t n = 0; n < N; n += detail::kSparseRows) {
    for (int64_t k = 0; k < K; k += detail::kSparseCols, ++tile) {
      const auto begin = load_as<int64_t>(plane_row(index, 0), tile);
      const auto end = load_as<int64_t>(plane_row(index, 0), tile + 1);
      const bool inside = 0 <= begin && begin <= end && end <= num_bytes;
      if (!inside ||
          !detail::expand_tile({plane_row(codes, 0) + begin, end - begin,
                                std::min(detail::kSparseRows, N - n),
                                std::min(detail::kSparseCols, K - k),
                                values.data() + n * K + k, K})) {
        detail::damaged(static_cast<int64_t>(tile), begin, end, num_bytes);
      }
    }
  }
  return values;
}

}  // namespace tessera::sdk::packing
