// SPDX-License-Identifier: Apache-2.0
//
// The step tensors of a program side by side in one piece of host-visible
// memory, so that a step changes one buffer.

#pragma once

#include <cstdint>
#include <span>

#include "framework/runtime/lowering.hpp"

namespace tessera {

// Where each step tensor begins.  All I32.
class StepArenaLayout {
 public:
  explicit StepArenaLayout(const StepLimits& limits);

  uint64_t bytes() const { return bytes_; }
  // Of the tensor with that TSR_ROLE_*.
  uint64_t offset(uint32_t role) const { return offsets_[role]; }

 private:
  uint64_t offsets_[TSR_ROLE_OUTPUT_ROWS + 1] = {};
  uint64_t bytes_ = 0;
};

// The arrays of one step as they are filled.
struct StepArrays {
  StepArrays(void* memory, const StepArenaLayout& layout,
             uint32_t max_blocks_per_seq);

  int32_t* token_ids;
  int32_t* positions;
  int32_t* q_starts;
  int32_t* seq_lens;
  int32_t* block_table;
  int32_t* slot_mapping;
  int32_t* output_rows;
  uint32_t max_blocks_per_seq;
};

}  // namespace tessera
