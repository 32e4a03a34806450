// SPDX-License-Identifier: Apache-2.0
//
// Writes the records that a device takes: programs once, submissions to be
// patched from step to step.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tessera/ops.h"

namespace tessera {

class ProgramBuilder {
 public:
  // `tensor.struct_size` is filled in.  Returns its id.
  uint32_t add_tensor(tsr_tensor tensor);

  // Appends a tsr_op_*; struct_size and record_bytes are filled in, `op.kind`
  // is the caller's.
  template <typename Op>
  void add_op(Op op) {
    static_assert(sizeof(Op) % 4 == 0 && sizeof(Op) >= sizeof(tsr_op));
    op.op.struct_size = sizeof(Op);
    op.op.record_bytes = (sizeof(Op) + 7) / 8 * 8;
    append_op(&op, sizeof(Op));
  }

  // Return the index that ops name them by.
  uint32_t add_weight(uint64_t id);
  uint32_t add_kv_pool(uint64_t id);

  void bind(const tsr_binding& binding) { bindings_.push_back(binding); }
  void bind(uint32_t tensor, uint64_t buffer, uint64_t offset) {
    bindings_.push_back({tensor, 0, buffer, offset});
  }

  void set_limits(uint32_t max_tokens, uint32_t max_seqs, uint32_t max_outputs,
                  uint32_t max_blocks_per_seq);
  // A mask of TSR_PREFILL, TSR_DECODE; 0, as at the start: both.
  void set_phases(uint32_t phases) { desc_.phases = phases; }

  // A tsr_program_desc of id 0 and its arrays, aligned to 8.
  std::vector<std::byte> build() const;

 private:
  void append_op(const void* op, size_t bytes);

  tsr_program_desc desc_{};
  std::vector<tsr_tensor> tensors_;
  std::vector<std::byte> ops_;
  uint32_t num_ops_ = 0;
  std::vector<uint64_t> weights_;
  std::vector<uint64_t> kv_pools_;
  std::vector<tsr_binding> bindings_;
};

// A tsr_submission and its arrays.  Adding may allocate; setting what is there
// does not.
class SubmissionBuilder {
 public:
  explicit SubmissionBuilder(uint32_t kind = TSR_SUBMIT_PROGRAM);

  void set_program(uint64_t id) { head().program = id; }
  void set_flags(uint32_t flags) { head().flags = flags; }

  // Return the index for wait(), signal(), binding() and block().
  uint32_t add_wait(const tsr_point& point);
  uint32_t add_signal(const tsr_point& point);
  uint32_t add_binding(const tsr_binding& binding);
  uint32_t add_block(const tsr_block_pair& pair);

  tsr_point& wait(uint32_t index);
  tsr_point& signal(uint32_t index);
  tsr_binding& binding(uint32_t index);
  tsr_block_pair& block(uint32_t index);

  // The head of the record, to be patched and submitted; valid until the next
  // add_*.  Sizes, slices and kind are the builder's.
  tsr_submission& record() { return head(); }

 private:
  tsr_submission& head();
  template <typename Element>
  uint32_t add(tsr_slice tsr_submission::*slice, const Element& element);
  // Makes room for one more element at the end of `slice`.
  std::byte* grow(tsr_slice tsr_submission::*slice, uint32_t stride);
  std::byte* at(tsr_slice tsr_submission::*slice, uint32_t index);

  std::vector<uint64_t> words_;  // the record; 8-byte aligned
};

}  // namespace tessera
