// SPDX-License-Identifier: Apache-2.0
//
// An in-order queue: submit enqueues the work and returns when it is done.

#pragma once

#include "backends/opencl/device.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::opencl {

class OpenClQueue final : public sdk::BlockingQueue {
 public:
  explicit OpenClQueue(OpenClDevice& device)
      : sdk::BlockingQueue(device),
        device_(device),
        queue_(device.make_queue()) {}

 protected:
  void run(const sdk::SubmissionView& submission) override;

 private:
  void copy_buffers(const tsr_submission& copy);
  void copy_kv_blocks(const sdk::SubmissionView& submission);
  void transfer_kv_blocks(const sdk::SubmissionView& submission);
  // One range from a buffer to another, or to itself.
  struct Range {
    Buffer* buffer;
    uint64_t offset;
  };
  void copy(const Range& from, const Range& to, uint64_t bytes);

  OpenClDevice& device_;
  QueueHandle queue_;
};

}  // namespace tessera::opencl
