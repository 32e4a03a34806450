// SPDX-License-Identifier: Apache-2.0

#include "framework/runtime/step_arena.hpp"

namespace tessera {
namespace {

// Arrays start on cache lines of their own.
constexpr uint64_t kAlignment = 64;

}  // namespace

StepArenaLayout::StepArenaLayout(const StepLimits& limits) {
  const uint64_t tokens = limits.max_tokens;
  const uint64_t seqs = limits.max_seqs;
  const auto place = [this](uint32_t role, uint64_t elements) {
    offsets_[role] = bytes_;
    const uint64_t bytes = elements * sizeof(int32_t);
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  place(TSR_ROLE_TOKEN_IDS, tokens);
  place(TSR_ROLE_POSITIONS, tokens);
  place(TSR_ROLE_Q_STARTS, seqs + 1);
  place(TSR_ROLE_SEQ_LENS, seqs);
  place(TSR_ROLE_BLOCK_TABLE, seqs * limits.max_blocks_per_seq);
  place(TSR_ROLE_SLOT_MAPPING, tokens);
  place(TSR_ROLE_OUTPUT_ROWS, limits.max_outputs);
}

StepArrays::StepArrays(void* memory, const StepArenaLayout& layout,
                       uint32_t blocks_per_seq)
    : max_blocks_per_seq(blocks_per_seq) {
  const auto at = [&](uint32_t role) {
    return reinterpret_cast<int32_t*>(static_cast<char*>(memory) +
                                      layout.offset(role));
  };
  token_ids = at(TSR_ROLE_TOKEN_IDS);
  positions = at(TSR_ROLE_POSITIONS);
  q_starts = at(TSR_ROLE_Q_STARTS);
  seq_lens = at(TSR_ROLE_SEQ_LENS);
  block_table = at(TSR_ROLE_BLOCK_TABLE);
  slot_mapping = at(TSR_ROLE_SLOT_MAPPING);
  output_rows = at(TSR_ROLE_OUTPUT_ROWS);
}

}  // namespace tessera
