// SPDX-License-Identifier: Apache-2.0
//
// A compiled program of the probe, and the queue that runs it.

#pragma once

#include <memory>
#include <vector>

#include "tests/abi/probe/device.hpp"

namespace tessera::probe {

class Program {
 public:
  Program(const sdk::ProgramView& program, const ProbeDevice& device);

  void run(const sdk::SubmissionView& step);

  const std::vector<uint32_t>& kinds() const { return kinds_; }
  uint64_t workspace_bytes() const { return places_.workspace_bytes(); }

 private:
  struct Linear {
    tsr_op_linear op;
    std::shared_ptr<Weight> weight;
  };

  void add(const tsr_op_elementwise& op, const tsr_submission& step) const;
  void linear(const Linear& linear, const tsr_submission& step) const;

  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  std::vector<uint32_t> kinds_;  // of the ops, in order
  std::vector<tsr_op_elementwise> adds_;
  std::vector<Linear> linears_;
  sdk::TensorPlaces places_;
};

class ProbeQueue final : public sdk::BlockingQueue {
 public:
  explicit ProbeQueue(ProbeDevice& device)
      : sdk::BlockingQueue(device), device_(device) {}

 protected:
  void run(const sdk::SubmissionView& submission) override;

 private:
  ProbeDevice& device_;
};

}  // namespace tessera::probe
