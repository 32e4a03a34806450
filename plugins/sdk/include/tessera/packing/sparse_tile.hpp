// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/sparse_tile.hpp - SPARSE_FIXED tiles, as tessera/types.h
// draws them, element by element, and as plain s8 rows.

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

inline constexpr uint32_t kSparseRows = 256;
inline constexpr uint32_t kSparseCols = 128;
inline constexpr uint32_t kBookBytes = 16;
inline constexpr uint32_t kEscape = 15;

// One tile: its bytes, and the part of [N, K] that it fills.
struct SparseTile {
  const std::byte* bytes;
  int64_t num_bytes;
  uint32_t n;
  uint32_t k;
  uint32_t rows;
  uint32_t cols;
};

struct SparseElement {
  uint32_t n;
  uint32_t k;
  uint32_t nibble;
  int8_t code;  // of the book, or the escape
};

// False if the tile is too short.
template <typename Visit>
bool visit_tile(const SparseTile& tile, const Visit& visit) {
  const int64_t nibble_row = (tile.cols + 1) / 2;
  int64_t next_escape = kBookBytes + tile.rows * nibble_row;
  if (tile.num_bytes < next_escape) return false;
  for (uint32_t r = 0; r < tile.rows; ++r) {
    const std::byte* row = tile.bytes + kBookBytes + r * nibble_row;
    for (uint32_t c = 0; c < tile.cols; ++c) {
      const uint32_t nibble = nibble_at(row, c);
      int64_t place = nibble;
      if (nibble == kEscape) {
        place = next_escape++;
        if (place >= tile.num_bytes) return false;
      }
      visit(SparseElement{
          tile.n + r, tile.k + c, nibble,
          load_as<int8_t>(tile.bytes, static_cast<uint64_t>(place))});
    }
  }
  return true;
}

[[noreturn]] inline void damaged(uint64_t tile, int64_t begin, int64_t end,
                                 int64_t num_bytes) {
  throw Error(TSR_INVALID_ARGUMENT,
              "sparse tile " + std::to_string(tile) + ": bytes " +
                  std::to_string(begin) + " to " + std::to_string(end) +
                  " of " + std::to_string(num_bytes) + " do not hold it");
}

// Calls visit(tile) for each tile in the order of the index.
template <typename Visit>
void for_each_sparse_tile(const tsr_plane& codes, const tsr_plane& index,
                          uint32_t N, uint32_t K, const Visit& visit) {
  if (codes.data == nullptr || index.data == nullptr) {
    throw Error(TSR_INVALID_ARGUMENT, "sparse weight without data");
  }
  const int64_t num_bytes = codes.cols;
  uint64_t tile = 0;
  for (uint32_t n = 0; n < N; n += kSparseRows) {
    for (uint32_t k = 0; k < K; k += kSparseCols, ++tile) {
      const auto begin = load_as<int64_t>(plane_row(index, 0), tile);
      const auto end = load_as<int64_t>(plane_row(index, 0), tile + 1);
      if (begin < 0 || begin > end || end > num_bytes) {
        damaged(tile, begin, end, num_bytes);
      }
      visit(SparseTile{plane_row(codes, 0) + begin, end - begin, n, k,
                       std::min(kSparseRows, N - n),
                       std::min(kSparseCols, K - k)});
    }
  }
}

// Calls visit(element) for each element, tile after tile, row by row.
//
// Errors  throws Error INVALID_ARGUMENT, naming the tile, if the planes have no
//         data, a tile does not lie in `codes`, or has too few bytes
template <typename Visit>
void for_each_sparse(const tsr_plane& codes, const tsr_plane& index, uint32_t N,
                     uint32_t K, const Visit& visit) {
  uint64_t number = 0;
  for_each_sparse_tile(codes, index, N, K, [&](const SparseTile& tile) {
    if (!visit_tile(tile, visit)) {
      const int64_t begin = tile.bytes - plane_row(codes, 0);
      damaged(number, begin, begin + tile.num_bytes, codes.cols);
    }
    ++number;
  });
}

}  // namespace detail

// The codes of all rows, [N, K].
//
// Errors  throws Error INVALID_ARGUMENT, naming the tile, if the planes have no
//         data, a tile does not lie in `codes`, or has too few bytes
inline std::vector<int8_t> expand_sparse(const tsr_plane& codes,
                                         const tsr_plane& index, uint32_t N,
                                         uint32_t K) {
  const uint64_t count = uint64_t{N} * K;
  if (codes.cols < count / 2) {  // before memory is asked for
    throw Error(TSR_INVALID_ARGUMENT,
                std::to_string(codes.cols) + " bytes of sparse codes for " +
                    std::to_string(N) + " x " + std::to_string(K));
  }
  std::vector<int8_t> values(count);
  detail::for_each_sparse(
      codes, index, N, K, [&](const detail::SparseElement& element) {
        values[uint64_t{element.n} * K + element.k] = element.code;
      });
  return values;
}

}  // namespace tessera::sdk::packing
