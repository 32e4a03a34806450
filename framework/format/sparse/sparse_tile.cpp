// SPDX-License-Identifier: Apache-2.0
//
// Books by frequency, nibbles and escapes, and back.

#include "framework/format/sparse/sparse_tile.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/format/weight_check.hpp"

namespace tessera::format {
namespace {

constexpr uint32_t kEscape = 15;
constexpr size_t kTileAlignment = 16;

size_t index_of(int8_t code) { return static_cast<uint8_t>(code); }

size_t aligned(size_t bytes) {
  return (bytes + kTileAlignment - 1) / kTileAlignment * kTileAlignment;
}

Status bad(const std::string& why) { return Status(TSR_INVALID_ARGUMENT, why); }

// The book of a tile, and the nibble of each code.
struct Book {
  std::array<int8_t, kSparseBookBytes> values{};
  std::array<uint8_t, 256> nibble_of;
};

Book make_book(const std::array<uint32_t, 256>& counts) {
  std::array<int8_t, 256> order;
  for (int i = 0; i < 256; ++i) {
    order[static_cast<size_t>(i)] = static_cast<int8_t>(i - 128);
  }
  std::stable_sort(order.begin(), order.end(), [&](int8_t a, int8_t b) {
    return counts[index_of(a)] > counts[index_of(b)];
  });
  size_t used = 0;
  while (used < kSparseLevels && counts[index_of(order[used])] > 0) ++used;
  std::sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(used));

  Book book;
  book.nibble_of.fill(kEscape);
  for (size_t i = 0; i < used; ++i) {
    book.values[i] = order[i];
    book.nibble_of[index_of(order[i])] = static_cast<uint8_t>(i);
  }
  return book;
}

// Appends the tile whose first code is `first`, rows K apart.
void append_tile(const SparseTileShape& shape, const int8_t* first, uint32_t K,
                 std::vector<std::byte>& out_bytes) {
  std::array<uint32_t, 256> counts{};
  for (uint32_t r = 0; r < shape.rows; ++r) {
    const int8_t* row = first + size_t{r} * K;
    for (uint32_t c = 0; c < shape.cols; ++c) ++counts[index_of(row[c])];
  }
  const Book book = make_book(counts);

  const size_t begin = out_bytes.size();
  out_bytes.resize(begin + shape.fixed_head_bytes());
  std::memcpy(&out_bytes[begin], book.values.data(), kSparseBookBytes);
  const size_t nibble_row = (shape.cols + 1) / 2;
  for (uint32_t r = 0; r < shape.rows; ++r) {
    const int8_t* row = first + size_t{r} * K;
    const size_t nibbles = begin + kSparseBookBytes + r * nibble_row;
    for (uint32_t c = 0; c < shape.cols; ++c) {
      const uint32_t code = book.nibble_of[index_of(row[c])];
      set_nibble(&out_bytes[nibbles], c, code);
      if (code == kEscape) out_bytes.push_back(static_cast<std::byte>(row[c]));
    }
  }
  out_bytes.resize(begin + aligned(out_bytes.size() - begin));
}

// The two codes of each byte of nibbles, or kHasEscape.
constexpr uint32_t kHasEscape = 1U << 16;
std::array<uint32_t, 256> make_pairs(const std::byte* book) {
  std::array<uint32_t, 256> pairs;
  for (uint32_t pair = 0; pair < 256; ++pair) {
    const uint32_t low = pair & 15U;
    const uint32_t high = pair >> 4;
    pairs[pair] = std::to_integer<uint32_t>(book[low]) |
                  std::to_integer<uint32_t>(book[high]) << 8;
    if (low == kEscape || high == kEscape) pairs[pair] |= kHasEscape;
  }
  return pairs;
}

// Reads the nibbles of one tile; `next` is where the next escape lies.
class TileReader {
 public:
  TileReader(std::span<const std::byte> tile, size_t next)
      : tile_(tile), next_(next), pairs_(make_pairs(tile.data())) {}

  size_t next() const { return next_; }

  // False if an escape lies behind the end.
  bool read_row(const std::byte* nibbles, uint32_t cols, int8_t* out_codes) {
    const uint32_t even = cols / 2 * 2;
    for (uint32_t c = 0; c < even; c += 2) {
      const uint32_t pair = pairs_[std::to_integer<size_t>(nibbles[c / 2])];
      out_codes[c] = static_cast<int8_t>(pair & 255U);
      out_codes[c + 1] = static_cast<int8_t>(pair >> 8 & 255U);
      if (pair >= kHasEscape && (!escape(nibbles, c, out_codes) ||
                                 !escape(nibbles, c + 1, out_codes))) {
        return false;
      }
    }
    if (even == cols) return true;
    out_codes[even] = load_element<int8_t>(tile_.data(), nibble(nibbles, even));
    return escape(nibbles, even, out_codes);
  }

 private:
  // Puts the next escape at `c` if its nibble asks for one.
  bool escape(const std::byte* nibbles, uint32_t c, int8_t* out_codes) {
    if (nibble(nibbles, c) != kEscape) return true;
    if (next_ == tile_.size()) return false;
    out_codes[c] = load_element<int8_t>(tile_.data(), next_++);
    return true;
  }

  std::span<const std::byte> tile_;
  size_t next_;
  std::array<uint32_t, 256> pairs_;
};

Plane one_row(uint32_t role, uint32_t dtype, size_t cols) {
  Plane plane;
  plane.role = role;
  plane.dtype = dtype;
  plane.rows = 1;
  plane.cols = static_cast<uint32_t>(cols);
  return plane;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

uint64_t num_sparse_tiles(uint32_t N, uint32_t K) {
  const uint64_t down = (uint64_t{N} + kSparseTileRows - 1) / kSparseTileRows;
  const uint64_t across = (uint64_t{K} + kSparseTileCols - 1) / kSparseTileCols;
  return down * across;
}

SparseTileShape sparse_tile_shape(uint32_t N, uint32_t K, uint64_t tile) {
  const uint64_t across = (uint64_t{K} + kSparseTileCols - 1) / kSparseTileCols;
  const auto row = static_cast<uint32_t>(tile / across * kSparseTileRows);
  const auto col = static_cast<uint32_t>(tile % across * kSparseTileCols);
  return {row, col, std::min(kSparseTileRows, N - row),
          std::min(kSparseTileCols, K - col)};
}

Result<SparseTiles> encode_sparse_fixed(uint32_t N, uint32_t K,
                                        std::span<const int8_t> codes) {
  if (N == 0 || K == 0 || codes.size() != uint64_t{N} * K) {
    return bad(std::to_string(codes.size()) + " codes for a weight of " +
               std::to_string(N) + " x " + std::to_string(K));
  }
  SparseTiles tiles{N, K, {}, {0}};
  for (uint64_t tile = 0; tile < num_sparse_tiles(N, K); ++tile) {
    const SparseTileShape shape = sparse_tile_shape(N, K, tile);
    append_tile(shape, &codes[size_t{shape.row} * K + shape.col], K,
                tiles.codes);
    tiles.index.push_back(static_cast<int64_t>(tiles.codes.size()));
  }
  return tiles;
}

Status decode_sparse_tile(std::span<const std::byte> tile,
                          const SparseTileShape& shape, int8_t* out_codes,
                          uint32_t K) {
  const size_t head = shape.fixed_head_bytes();
  if (tile.size() < head) {
    return bad(std::to_string(tile.size()) + " bytes, needs " +
               std::to_string(head));
  }
  TileReader reader(tile, head);
  const size_t nibble_row = (shape.cols + 1) / 2;
  int8_t* const first = out_codes + size_t{shape.row} * K + shape.col;
  for (uint32_t r = 0; r < shape.rows; ++r) {
    if (!reader.read_row(tile.data() + kSparseBookBytes + r * nibble_row,
                         shape.cols, first + size_t{r} * K)) {
      return bad("escapes run past its end");
    }
  }
  if (aligned(reader.next()) != tile.size()) {
    return bad(std::to_string(tile.size()) + " bytes, of which " +
               std::to_string(reader.next()) + " are used");
  }
  if (!all_zero(tile.subspan(reader.next()))) return bad("padding is not zero");
  return {};
}

Status check_sparse_index(const SparseTiles& tiles) {
  if (tiles.N == 0 || tiles.K == 0) {
    return bad("a weight of " + std::to_string(tiles.N) + " x " +
               std::to_string(tiles.K));
  }
  const uint64_t count = num_sparse_tiles(tiles.N, tiles.K);
  if (tiles.index.size() != count + 1) {
    return bad("an index of " + std::to_string(tiles.index.size()) + " for " +
               std::to_string(count) + " tiles");
  }
  if (tiles.index.front() != 0 ||
      !std::is_sorted(tiles.index.begin(), tiles.index.end())) {
    return bad("the index does not ascend from 0");
  }
  if (static_cast<uint64_t>(tiles.index.back()) != tiles.codes.size()) {
    return bad("the index ends at " + std::to_string(tiles.index.back()) +
               " of " + std::to_string(tiles.codes.size()) + " bytes");
  }
  return {};
}

Result<std::vector<int8_t>> decode_sparse_fixed(const WeightData& weight) {
  const Plane* const codes = weight.find(TSR_PLANE_CODES);
  const Plane* const index = weight.find(TSR_PLANE_INDEX);
  if (weight.format != TSR_WEIGHT_SPARSE_FIXED || codes == nullptr ||
      index == nullptr) {
    return Status(TSR_INVALID_ARGUMENT,
                  weight_format_name(weight.format) + " has no sparse tiles");
  }
  SparseTiles tiles{weight.N, weight.K, {}, {}};
  tiles.codes.assign(codes->bytes().begin(), codes->bytes().end());
  tiles.index.resize(index->bytes().size() / sizeof(int64_t));
  std::memcpy(tiles.index.data(), index->bytes().data(),
              tiles.index.size() * sizeof(int64_t));
  return decode_sparse_fixed(tiles);
}

Result<std::span<const std::byte>> sparse_tile_bytes(const SparseTiles& tiles,
                                                     uint64_t tile) {
  if (tile + 1 >= tiles.index.size()) {
    return bad("tile " + std::to_string(tile) + " is not in the index");
  }
  const int64_t begin = tiles.index[tile];
  const int64_t end = tiles.index[tile + 1];
  if (begin < 0 || end < begin ||
      static_cast<uint64_t>(end) > tiles.codes.size()) {
    return bad("tile " + std::to_string(tile) + ": bytes " +
               std::to_string(begin) + " to " + std::to_string(end) + " of " +
               std::to_string(tiles.codes.size()));
  }
  return std::span(tiles.codes)
      .subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

Result<std::vector<int8_t>> decode_sparse_fixed(const SparseTiles& tiles) {
  TSR_RETURN_IF_ERROR(check_sparse_index(tiles));
  if (tiles.codes.size() < uint64_t{tiles.N} * tiles.K / 2) {
    return bad(std::to_string(tiles.codes.size()) + " bytes of codes for " +
               std::to_string(tiles.N) + " x " + std::to_string(tiles.K));
  }
  std::vector<int8_t> codes(size_t{tiles.N} * tiles.K);
  for (uint64_t tile = 0; tile + 1 < tiles.index.size(); ++tile) {
    TSR_ASSIGN_OR_RETURN(const auto bytes, sparse_tile_bytes(tiles, tile));
    TSR_RETURN_IF_ERROR(
        decode_sparse_tile(bytes, sparse_tile_shape(tiles.N, tiles.K, tile),
                           codes.data(), tiles.K)
            .annotate("tile " + std::to_string(tile)));
  }
  return codes;
}

Result<WeightData> sparse_fixed_weight(SparseTiles tiles, Plane scale) {
  TSR_RETURN_IF_ERROR(check_sparse_index(tiles));
  if (std::max<uint64_t>(tiles.codes.size(), tiles.index.size()) >
      std::numeric_limits<uint32_t>::max()) {
    return bad(std::to_string(tiles.codes.size()) +
               " bytes of codes are more than one plane holds");
  }
  const auto index_bytes = std::as_bytes(std::span(tiles.index));
  WeightData weight{TSR_WEIGHT_SPARSE_FIXED, tiles.N, tiles.K, {}};
  Plane index = one_row(TSR_PLANE_INDEX, TSR_I64, tiles.index.size());
  index.owned.assign(index_bytes.begin(), index_bytes.end());
  Plane codes = one_row(TSR_PLANE_CODES, TSR_U8, tiles.codes.size());
  codes.owned = std::move(tiles.codes);
  weight.planes = {std::move(codes), std::move(scale), std::move(index)};
  TSR_RETURN_IF_ERROR(check_weight(weight.view().desc()));
  return weight;
}

}  // namespace tessera::format
