// SPDX-License-Identifier: Apache-2.0
//
// Where the tensors of a program lie: transients and scratch in a workspace of
// the device, views in their owners, the rest where the host bound them.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backends/vulkan/runtime/buffer.hpp"
#include "backends/vulkan/runtime/staging_ring.hpp"
#include "backends/vulkan/runtime/texels.hpp"
#include "tessera/record.hpp"
#include "tessera/workspace.hpp"

namespace tessera::vulkan {

class VulkanDevice;

// Created with the program.  One thread at a time.
class TensorPlaces {
 public:
  // `scratch` has an entry for each op: the bytes, and the ops that use them.
  //
  // Errors   throws INVALID_ARGUMENT for a transient that is bound, a constant
  //          that is not, or a binding outside its buffer; NOT_FOUND for an
  //          unknown buffer; RESOURCE_EXHAUSTED
  TensorPlaces(VulkanDevice& device, const sdk::ProgramView& program,
               const std::vector<sdk::Lifetime>& scratch);

  // Points the tensors at the memory of this step.  Allocates nothing where no
  // buffer is staged.
  // Returns true if all lies where it lay at the call before.
  bool bind(const sdk::SubmissionView& step);
  // Of tensors in staged buffers: what the device must have before this step,
  // and the host after it.  Constants are there since the program was made.
  std::vector<HostCopy> staged_before() const { return staged(false); }
  std::vector<HostCopy> staged_after() const { return staged(true); }

  // The address of a tensor's first element.  Throws INVALID_ARGUMENT if
  // nothing is bound to it.
  uint64_t at(uint32_t id) const;
  uint64_t scratch(uint32_t op) const {
    return workspace_->address() + scratch_offsets_[op];
  }
  // What a launch may read as texels: a tensor from its first element on, where
  // it lies in this step, and bytes of an op's scratch.
  TexelRange tensor_texels(uint32_t id) const;
  TexelRange scratch_texels(
      uint32_t op, uint64_t offset, uint64_t bytes,
      VkFormat format = VK_FORMAT_R32G32B32A32_UINT) const {
    return {workspace_.get(), scratch_offsets_[op] + offset, bytes, format};
  }
  // True if the range's tensor lies there in this step.
  bool is_at(const TexelRange& range) const;

  uint64_t workspace_bytes() const { return workspace_->bytes(); }

 private:
  struct Bound {
    std::shared_ptr<Buffer> buffer;
    uint64_t offset = 0;

    friend bool operator==(const Bound&, const Bound&) = default;
  };

  void plan_workspace(const sdk::ProgramView& program,
                      const std::vector<sdk::Lifetime>& scratch);
  void bind_created(const sdk::ProgramView& program);
  Bound resolve(const tsr_binding& binding) const;
  uint64_t tensor_bytes(uint32_t id) const;
  HostCopy staged_copy(uint32_t id, const Bound& bound) const;
  std::vector<HostCopy> staged(bool written_only) const;

  VulkanDevice& device_;
  std::vector<tsr_tensor> tensors_;
  std::vector<bool> is_written_;  // a tensor, or a view of it
  std::vector<Bound> created_;
  std::vector<Bound> current_;
  std::vector<Bound> previous_;  // empty between calls of bind
  std::vector<uint64_t> scratch_offsets_;
  std::shared_ptr<Buffer> workspace_;
};

}  // namespace tessera::vulkan
