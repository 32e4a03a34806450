// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/kv_blocks.hpp"

#include <fmt/format.h>

namespace tessera {

KvBlocks::KvBlocks(uint32_t num_blocks, uint32_t block_size, uint32_t max_seqs,
                   uint32_t max_blocks_per_seq)
    : block_size_(block_size), max_blocks_per_seq_(max_blocks_per_seq) {
  free_.reserve(num_blocks);
  for (uint32_t i = num_blocks; i > 0; --i) {
    free_.push_back(static_cast<int32_t>(i - 1));
  }
  tables_.assign(size_t{max_seqs} * max_blocks_per_seq, -1);
  lengths_.assign(max_seqs, 0);
  open_.assign(max_seqs, 0);
}

Result<uint32_t> KvBlocks::open() {
  for (uint32_t row = 0; row < open_.size(); ++row) {
    if (open_[row] != 0) continue;
    open_[row] = 1;
    lengths_[row] = 0;
    return row;
  }
  return Status(TSR_RESOURCE_EXHAUSTED,
                fmt::format("{} sequences are open already", open_.size()));
}

void KvBlocks::close(uint32_t row) {
  truncate(row, 0);
  open_[row] = 0;
}

Status KvBlocks::extend(uint32_t row, uint32_t count) {
  const uint32_t length = lengths_[row] + count;
  const uint32_t wanted = blocks_for(length);
  const uint32_t held = blocks_for(lengths_[row]);
  if (wanted > max_blocks_per_seq_) {
    return {TSR_RESOURCE_EXHAUSTED,
            fmt::format("{} tokens exceed the context of {}", length,
                        max_blocks_per_seq_ * block_size_)};
  }
  if (wanted - held > free_.size()) {
    return {TSR_RESOURCE_EXHAUSTED,
            fmt::format("the KV cache is full: {} blocks wanted, {} free",
                        wanted - held, free_.size())};
  }
  int32_t* table = tables_.data() + size_t{row} * max_blocks_per_seq_;
  for (uint32_t i = held; i < wanted; ++i) {
    table[i] = free_.back();
    free_.pop_back();
  }
  lengths_[row] = length;
  return {};
}

void KvBlocks::truncate(uint32_t row, uint32_t length) {
  int32_t* table = tables_.data() + size_t{row} * max_blocks_per_seq_;
  for (uint32_t i = blocks_for(lengths_[row]); i > blocks_for(length); --i) {
    free_.push_back(table[i - 1]);
    table[i - 1] = -1;
  }
  lengths_[row] = length;
}

int32_t KvBlocks::slot(uint32_t row, uint32_t position) const {
  const int32_t block = block_table(row)[position / block_size_];
  return block * static_cast<int32_t>(block_size_) +
         static_cast<int32_t>(position % block_size_);
}

}  // namespace tessera
