// SPDX-License-Identifier: Apache-2.0
//
// The decoder of SPARSE_FIXED tiles.

#include "framework/conformance/reference/linear/sparse_tile.hpp"

#include <algorithm>
#include <string>

#include "framework/format/element.hpp"

namespace tessera::reference {
namespace {

constexpr uint32_t kTileRows = 256;
constexpr uint32_t kTileCols = 128;
constexpr uint32_t kEscape = 15;
constexpr size_t kBookBytes = 16;

// Part of the [N, K] result that one tile fills.
struct TileTarget {
  int8_t* first;
  uint32_t rows;
  uint32_t cols;
  uint32_t stride;
};

Status expand_tile(std::span<const std::byte> tile, const TileTarget& target) {
  const size_t nibble_row = (target.cols + 1) / 2;
  size_t next = kBookBytes + target.rows * nibble_row;  // escape byte
  if (tile.size() < next) {
    return Status(
        TSR_INVALID_ARGUMENT,
        std::to_string(tile.size()) + " bytes, needs " + std::to_string(next));
  }
  for (uint32_t r = 0; r < target.rows; ++r) {
    const std::byte* nibbles = tile.data() + kBookBytes + r * nibble_row;
    for (uint32_t c = 0; c < target.cols; ++c) {
      const uint32_t code = format::nibble(nibbles, c);
      size_t source = code;
      if (code == kEscape) {
        source = next++;
        if (source >= tile.size()) {
          return Status(TSR_INVALID_ARGUMENT, "escapes run past its end");
        }
      }
      target.first[size_t{r} * target.stride + c] =
          format::load_element<int8_t>(tile.data(), source);
    }
  }
  if ((next + 15) / 16 * 16 != tile.size()) {
    return Status(TSR_INVALID_ARGUMENT, std::to_string(tile.size()) +
                                            " bytes, of which " +
                                            std::to_string(next) + " are used");
  }
  return {};
}

// Bytes index[tile] .. index[tile + 1] - 1 of `codes`.
Result<std::span<const std::byte>> tile_bytes(std::span<const std::byte> codes,
                                              const std::byte* index,
                                              size_t tile) {
  const auto begin = format::load_element<int64_t>(index, tile);
  const auto end = format::load_element<int64_t>(index, tile + 1);
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > codes.size()) {
    return Status(TSR_INVALID_ARGUMENT, "bytes " + std::to_string(begin) +
                                            " to " + std::to_string(end) +
                                            " of " +
                                            std::to_string(codes.size()));
  }
  return codes.subspan(static_cast<size_t>(begin),
                       static_cast<size_t>(end - begin));
}

}  // namespace

Result<std::vector<int8_t>> expand_sparse_tiles(
    uint32_t N, uint32_t K, std::span<const std::byte> codes,
    const std::byte* index) {
  if (codes.size() < uint64_t{N} * K / 2) {  // before memory is asked for
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(codes.size()) + " bytes of codes for " +
                      std::to_string(N) + " x " + std::to_string(K));
  }
  std::vector<int8_t> values(size_t{N} * K);
  size_t tile = 0;
  for (uint32_t n = 0; n < N; n += kTileRows) {
    for (uint32_t k = 0; k < K; k += kTileCols) {
      const std::string name = "tile " + std::to_string(tile);
      TSR_ASSIGN_OR_RETURN(const auto bytes,
                           tile_bytes(codes, index, tile).annotate(name));
      TSR_RETURN_IF_ERROR(expand_tile(bytes, {&values[size_t{n} * K + k],
                                              std::min(kTileRows, N - n),
                                              std::min(kTileCols, K - k), K})
                              .annotate(name));
      ++tile;
    }
  }
  return values;
}

}  // namespace tessera::reference
