// SPDX-License-Identifier: Apache-2.0
//
// Which blocks of the KV cache belong to which sequence.

#pragma once

#include <cstdint>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

// Hands out the blocks of a pool.  All layers use the same block ids, so one
// allocator serves a whole model.  Allocates no memory after construction.
class KvBlocks {
 public:
  // At most `max_seqs` sequences of at most `max_blocks_per_seq` blocks.
  KvBlocks(uint32_t num_blocks, uint32_t block_size, uint32_t max_seqs,
           uint32_t max_blocks_per_seq);

  // Opens an empty sequence and returns its row.
  // Errors: RESOURCE_EXHAUSTED if max_seqs are open.
  Result<uint32_t> open();
  // Frees its blocks; the row may be given out again.
  void close(uint32_t row);

  // Makes room for `count` more tokens and counts them as cached.  Nothing
  // changes on failure.
  // Errors: RESOURCE_EXHAUSTED, saying whether the sequence or the pool is
  // full.
  Status extend(uint32_t row, uint32_t count);

  // Forgets all but the first `length` tokens.
  void truncate(uint32_t row, uint32_t length);

  bool is_open(uint32_t row) const {
    return row < open_.size() && open_[row] != 0;
  }
  // Cached tokens.
  uint32_t length(uint32_t row) const { return lengths_[row]; }
  // Where token `position` of the sequence is stored: block * block_size +
  // offset.
  int32_t slot(uint32_t row, uint32_t position) const;
  // max_blocks_per_seq entries; those past the sequence's blocks mean nothing.
  const int32_t* block_table(uint32_t row) const {
    return tables_.data() + size_t{row} * max_blocks_per_seq_;
  }
  uint32_t num_free_blocks() const {
    return static_cast<uint32_t>(free_.size());
  }

 private:
  uint32_t blocks_for(uint32_t length) const {
    return (length + block_size_ - 1) / block_size_;
  }

  uint32_t block_size_;
  uint32_t max_blocks_per_seq_;
  std::vector<int32_t> free_;  // used from the back
  std::vector<int32_t> tables_;
  std::vector<uint32_t> lengths_;
  std::vector<uint8_t> open_;
};

}  // namespace tessera
