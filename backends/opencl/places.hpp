// SPDX-License-Identifier: Apache-2.0
//
// Where the tensors of a program lie: transients and scratch in a workspace of
// the device, views in their owners, the rest where the host bound them.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/opencl/runtime/buffer.hpp"
#include "tessera/record.hpp"

namespace tessera::opencl {

class OpenClDevice;

struct Place {
  cl_mem memory = nullptr;
  uint64_t offset = 0;  // bytes
};

// Created with the program.  One thread at a time.
class TensorPlaces {
 public:
  // `scratch_bytes` has an entry for each op.
  //
  // Errors   throws INVALID_ARGUMENT for a transient that is bound, a constant
  //          that is not, or a binding outside its buffer; NOT_FOUND for an
  //          unknown buffer; RESOURCE_EXHAUSTED
  TensorPlaces(OpenClDevice& device, const sdk::ProgramView& program,
               const std::vector<uint64_t>& scratch_bytes);

  // Points the tensors at the memory of this step and hands what the program
  // reads to the device.
  void begin_step(cl_command_queue queue, const sdk::SubmissionView& step);
  // Hands what the program wrote to the host, once it is done.
  void end_step(cl_command_queue queue);

  // Throws INVALID_ARGUMENT if nothing is bound to the tensor.
  Place at(uint32_t id) const;
  Place scratch(uint32_t op) const {
    return {workspace_->memory(), scratch_offsets_[op]};
  }
  uint64_t workspace_bytes() const { return workspace_->bytes(); }

  // Where a tensor was bound, without keeping the buffer.
  struct BoundPlace {
    std::weak_ptr<Buffer> buffer;
    uint64_t offset = 0;
  };
  // Of all tensors, as the current step binds them.
  std::vector<BoundPlace> bound() const;
  bool is_bound_to(const std::vector<BoundPlace>& places) const;

 private:
  struct Bound {
    std::shared_ptr<Buffer> buffer;
    uint64_t offset = 0;
  };

  void find_uses(const sdk::ProgramView& program);
  void plan_workspace(const sdk::ProgramView& program,
                      const std::vector<uint64_t>& scratch_bytes);
  void bind_created(const sdk::ProgramView& program);
  void hand_over_constants();
  Bound resolve(const tsr_binding& binding) const;
  uint64_t tensor_bytes(uint32_t id) const;

  OpenClDevice& device_;
  std::vector<tsr_tensor> tensors_;
  std::vector<bool> is_read_;  // by tensor that owns its memory
  std::vector<bool> is_written_;
  std::vector<Bound> created_;
  std::vector<Bound> current_;
  std::vector<uint64_t> scratch_offsets_;
  std::shared_ptr<Buffer> workspace_;
};

}  // namespace tessera::opencl
