// SPDX-License-Identifier: Apache-2.0
//
// The queue: submit computes on the host's threads and returns when it is done.

#pragma once

#include <vector>

#include "backends/npu_sim/device/device.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::npu {

class NpuQueue final : public sdk::BlockingQueue {
 public:
  explicit NpuQueue(NpuDevice& device)
      : sdk::BlockingQueue(device), device_(device) {}

 protected:
  void run(const sdk::SubmissionView& submission) override;

 private:
  void run_program(const sdk::SubmissionView& submission);
  void run_kv_copy(const sdk::SubmissionView& submission) const;
  void run_kv_transfer(const sdk::SubmissionView& submission) const;

  NpuDevice& device_;
  std::vector<tsr_kernel_record> records_;
};

}  // namespace tessera::npu
