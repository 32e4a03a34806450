// SPDX-License-Identifier: Apache-2.0
//
// The cpu's queue: submit runs the work on the host's threads and returns when
// it is done.

#pragma once

#include <vector>

#include "backends/cpu/device.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::cpu {

class CpuQueue final : public sdk::BlockingQueue {
 public:
  explicit CpuQueue(CpuDevice& device)
      : sdk::BlockingQueue(device), device_(device) {}

 protected:
  void run(const sdk::SubmissionView& submission) override;

 private:
  void run_program(const sdk::SubmissionView& submission);
  void run_kv_copy(const sdk::SubmissionView& submission) const;
  void run_kv_transfer(const sdk::SubmissionView& submission) const;

  CpuDevice& device_;
  std::vector<tsr_kernel_record> records_;
};

}  // namespace tessera::cpu
