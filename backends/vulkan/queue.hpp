// SPDX-License-Identifier: Apache-2.0
//
// An in-order queue: submit enqueues the work and returns when it is done.

#pragma once

#include "backends/vulkan/device.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::vulkan {

class VulkanQueue final : public sdk::BlockingQueue {
 public:
  explicit VulkanQueue(VulkanDevice& device)
      : sdk::BlockingQueue(device),
        device_(device),
        lane_(device.gpu().next_compute_lane()) {}

 protected:
  void run(const sdk::SubmissionView& submission) override;

 private:
  void copy_buffers(const tsr_submission& copy);
  void copy_kv_blocks(const sdk::SubmissionView& submission);
  void transfer_kv_blocks(const sdk::SubmissionView& submission);

  VulkanDevice& device_;
  uint32_t lane_;
};

}  // namespace tessera::vulkan
