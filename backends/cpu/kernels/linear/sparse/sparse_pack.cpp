// SPDX-License-Identifier: Apache-2.0
//
// Nibbles change places and escapes their order; nothing is stored expanded.

#include "backends/cpu/kernels/linear/sparse/sparse_pack.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t nibble_bytes(int64_t cols) { return (cols + 1) / 2; }

// One tile of the plane.
struct SourceTile {
  int64_t index;
  int64_t begin;
  int64_t end;
  const std::byte* bytes;
  int64_t rows;
  int64_t cols;

  // That of columns past the end is 0.
  uint32_t nibble(int64_t row, int64_t col) const {
    if (col >= cols) return 0;
    const auto pair = std::to_integer<uint32_t>(
        bytes[kBookBytes + row * nibble_bytes(cols) + col / 2]);
    return pair >> (col % 2 * 4) & 15U;
  }
  bool is_escape(int64_t row, int64_t col) const {
    return nibble(row, col) == kEscape;
  }
  int64_t escapes_in_row(int64_t row) const {
    int64_t count = 0;
    for (int64_t c = 0; c < cols; ++c) count += is_escape(row, c) ? 1 : 0;
    return count;
  }
  int64_t first_escape() const {
    return kBookBytes + rows * nibble_bytes(cols);
  }
};

class SparsePacking {
 public:
  SparsePacking(const WeightShape& shape, const tsr_plane& codes,
                const tsr_plane& index, std::byte* packed)
      : shape_(shape), codes_(codes), index_(index), packed_(packed) {}

  void run() {
    std::memset(packed_, 0, shape_.scales_offset);
    for (int64_t n = 0; n < shape_.N; n += kSparseRows) {
      place_escapes(n);
      for (int64_t k = 0; k < shape_.K; k += kSparseCols) pack_tile(n, k);
    }
  }

 private:
  template <typename T>
  T* section(size_t offset) const {
    return reinterpret_cast<T*>(packed_ + offset);
  }
  int64_t books_in_row() const {
    return (shape_.K + kSparseCols - 1) / kSparseCols;
  }

  [[noreturn]] void damaged(const SourceTile& tile) const {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "sparse tile " + std::to_string(tile.index) + ": bytes " +
                         std::to_string(tile.begin) + " to " +
                         std::to_string(tile.end) + " of " +
                         std::to_string(codes_.cols) + " do not hold it");
  }

  // Its book and nibbles are inside the plane.  A tile begins where the one
  // before ends, so all escapes together fit into max_escapes().
  SourceTile tile_at(int64_t n, int64_t k) const {
    const int64_t i = n / kSparseRows * books_in_row() + k / kSparseCols;
    SourceTile tile{i,
                    load_as<int64_t>(plane_row(index_, 0), i),
                    load_as<int64_t>(plane_row(index_, 0), i + 1),
                    nullptr,
                    std::min(kSparseRows, shape_.N - n),
                    std::min(kSparseCols, shape_.K - k)};
    const bool inside =
        0 <= tile.begin && tile.begin <= tile.end && tile.end <= codes_.cols;
    if (!inside || tile.end - tile.begin < tile.first_escape()) damaged(tile);
    tile.bytes = plane_row(codes_, 0) + tile.begin;
    return tile;
  }

  // Where the escapes of the 16 tiles of rows n .. n + 255 begin.
  void place_escapes(int64_t n) {
    int64_t counts[kSparseRows / kTileCols] = {};
    for (int64_t k = 0; k < shape_.K; k += kSparseCols) {
      const SourceTile tile = tile_at(n, k);
      int64_t last = tile.first_escape();
      for (int64_t r = 0; r < tile.rows; ++r) {
        const int64_t count = tile.escapes_in_row(r);
        counts[r / kTileCols] += count;
        last += count;
      }
      if (last > tile.end - tile.begin) damaged(tile);
    }
    for (int64_t t = 0; t < kSparseRows / kTileCols; ++t) {
      next_[t] = num_escapes_;
      num_escapes_ += counts[t];
      const int64_t tile = n / kTileCols + t;
      if (tile < shape_.num_tiles()) {
        section<int64_t>(shape_.starts_offset)[tile] = next_[t];
      }
    }
  }

  void pack_tile(int64_t n, int64_t k) {
    const SourceTile tile = tile_at(n, k);
    const int64_t book = n / kSparseRows * books_in_row() + k / kSparseCols;
    std::memcpy(packed_ + shape_.books_offset + book * kBookBytes, tile.bytes,
                kBookBytes);
    read_values(tile);
    for (int64_t r = 0; r < tile.rows; ++r) store_nibbles(tile, n, k, r);
    for (int64_t r = 0; r < tile.rows; r += kTileCols) {
      store_escapes(tile, r, std::min(r + kTileCols, tile.rows));
    }
  }

  void read_values(const SourceTile& tile) {
    int64_t escape = tile.first_escape();
    for (int64_t r = 0; r < tile.rows; ++r) {
      for (int64_t c = 0; c < tile.cols; ++c) {
        const uint32_t nibble = tile.nibble(r, c);
        const int64_t place = nibble == kEscape ? escape++ : int64_t{nibble};
        values_[static_cast<size_t>(r * kSparseCols + c)] =
            load_as<int8_t>(tile.bytes, place);
      }
    }
  }

  // Row r of the tile, and what it adds to the sums of its groups.
  void store_nibbles(const SourceTile& tile, int64_t n, int64_t k, int64_t r) {
    const int64_t row = n + r;
    const int64_t lane = row % kTileCols;
    std::byte* out = packed_ + row / kTileCols * shape_.tile_bytes +
                     k / 8 * 4 * kTileCols + 4 * lane;
    for (int64_t c = 0; c < tile.cols; c += 8, out += 4 * kTileCols) {
      for (int64_t b = 0; b < 4; ++b) {
        out[b] = static_cast<std::byte>(tile.nibble(r, c + b) |
                                        tile.nibble(r, c + b + 4) << 4);
      }
    }
    auto* sums = section<int32_t>(shape_.sums_offset) +
                 row / kTileCols * shape_.num_groups * kTileCols + lane;
    for (int64_t c = 0; c < tile.cols; ++c) {
      sums[(k + c) / shape_.group_size * kTileCols] +=
          values_[static_cast<size_t>(r * kSparseCols + c)];
    }
  }

  // Those of rows begin .. end - 1, four columns of all rows at a time.
  void store_escapes(const SourceTile& tile, int64_t begin, int64_t end) {
    auto* escapes = section<int8_t>(shape_.escapes_offset);
    int64_t& next = next_[begin / kTileCols];
    for (int64_t c = 0; c < tile.cols; c += 4) {
      const int64_t c_end = std::min(c + 4, tile.cols);
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t i = c; i < c_end; ++i) {
          if (!tile.is_escape(r, i)) continue;
          escapes[next++] = values_[static_cast<size_t>(r * kSparseCols + i)];
        }
      }
    }
  }

  const WeightShape& shape_;
  const tsr_plane& codes_;
  const tsr_plane& index_;
  std::byte* packed_;
  std::vector<int8_t> values_ =
      std::vector<int8_t>(static_cast<size_t>(kSparseRows * kSparseCols));
  int64_t next_[kSparseRows / kTileCols] = {};
  int64_t num_escapes_ = 0;
};

}  // namespace

int64_t max_escapes(int64_t codes_bytes, int64_t N, int64_t K) {
  const int64_t last = K % kSparseCols;
  const int64_t row_bytes =
      K / kSparseCols * nibble_bytes(kSparseCols) + nibble_bytes(last);
  return std::max<int64_t>(0, codes_bytes - N * row_bytes);
}

void pack_sparse(const WeightShape& shape, const tsr_plane& codes,
                 const tsr_plane& index, std::byte* packed) {
  if (codes.data == nullptr || index.data == nullptr) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "sparse weight without data");
  }
  SparsePacking(shape, codes, index, packed).run();
}

}  // namespace tessera::cpu
