// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/sparse_books.hpp - SPARSE_FIXED tiles that stay compressed:
// their books, their nibbles in the order of a backend's tiles, and the escapes
// of each row with the columns that they belong to.

#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/packing/code_writer.hpp"
#include "tessera/packing/sparse_tile.hpp"
#include "tessera/packing/weight_shape.hpp"

namespace tessera::sdk::packing {

namespace detail {

// Packs one weight whose code is kBook, all rows at once.
class BookPacker {
 public:
  BookPacker(const WeightShape& shape, const tsr_plane& codes,
             const tsr_plane& index, char* packed)
      : shape_(shape),
        codes_(codes),
        index_(index),
        packed_(packed),
        writer_(shape, packed) {}

  // Expects nibbles of 15 wherever the weight has no element.
  void pack() {
    find_starts();
    Cursors cursors(shape_.N);
    std::vector<uint32_t> next = starts_;
    const auto emit = [&](uint64_t run, uint32_t entry) {
      const auto bits = static_cast<uint16_t>(entry);
      std::memcpy(packed_ + shape_.escapes_offset + uint64_t{next[run]++} * 2,
                  &bits, sizeof(bits));
    };
    for_each_sparse(codes_, index_, shape_.N, shape_.K,
                    [&](const SparseElement& element) {
                      writer_.put(element.n, element.k, element.nibble);
                      if (element.nibble == kEscape) {
                        cursors.emit(shape_, element, emit);
                      }
                    });
    put_books();
  }

 private:
  // The column after which each row's next escape is counted.
  class Cursors {
   public:
    explicit Cursors(uint32_t rows) : rows_(rows) {}

    // Calls emit(run, entry) for the fillers before the escape and for itself.
    template <typename Emit>
    void emit(const WeightShape& shape, const SparseElement& element,
              const Emit& emit) {
      Row& row = rows_[element.n];
      const uint32_t group = element.k / shape.group_size;
      if (group != row.group) row = {group, 0};
      const uint64_t run = shape.group_index(element.n, group);
      uint32_t ahead = element.k - group * shape.group_size - row.column;
      row.column += ahead;
      for (; ahead > kFarthestEscape; ahead -= kFarthestEscape) {
        emit(run, kFarthestEscape);
      }
      emit(run,
           ahead | static_cast<uint32_t>(static_cast<uint8_t>(element.code))
                       << 8);
    }

   private:
    struct Row {
      uint32_t group = 0;
      uint32_t column = 0;  // of the last escape in the group
    };
    std::vector<Row> rows_;
  };

  void find_starts() {
    const uint64_t runs =
        uint64_t{shape_.num_tiles()} * shape_.num_groups * shape_.layout.rows;
    starts_.assign(runs + 1, 0);
    Cursors cursors(shape_.N);
    uint64_t total = 0;
    const auto count = [&](uint64_t run, uint32_t /*entry*/) {
      ++starts_[run + 1];
      ++total;
    };
    for_each_sparse(codes_, index_, shape_.N, shape_.K,
                    [&](const SparseElement& element) {
                      if (element.nibble == kEscape) {
                        cursors.emit(shape_, element, count);
                      }
                    });
    if (total > shape_.max_escapes) {
      throw Error(TSR_INVALID_ARGUMENT, "sparse tiles overlap: they have " +
                                            std::to_string(total) +
                                            " escapes, and bytes for " +
                                            std::to_string(shape_.max_escapes));
    }
    for (uint64_t run = 0; run < runs; ++run) starts_[run + 1] += starts_[run];
    std::memcpy(packed_ + shape_.starts_offset, starts_.data(),
                starts_.size() * sizeof(uint32_t));
  }

  void put_books() const {
    char* to = packed_ + shape_.books_offset;
    for_each_sparse_tile(codes_, index_, shape_.N, shape_.K,
                         [&to](const SparseTile& tile) {
                           std::memcpy(to, tile.bytes, kBookBytes);
                           to[kEscape] = 0;
                           to += kBookBytes;
                         });
  }

  const WeightShape& shape_;
  const tsr_plane& codes_;
  const tsr_plane& index_;
  char* packed_;
  CodeWriter writer_;
  std::vector<uint32_t> starts_;  // of each run of escapes, then the end
};

}  // namespace detail

// Requires  the codes section is all ones
// Errors    throws Error INVALID_ARGUMENT, naming the tile, if the planes have
//           no data, a tile does not lie in `codes`, or has too few bytes; or
//           if tiles share bytes
inline void pack_books(const WeightShape& shape, const tsr_plane& codes,
                       const tsr_plane& index, char* packed) {
  detail::BookPacker(shape, codes, index, packed).pack();
}

}  // namespace tessera::sdk::packing
