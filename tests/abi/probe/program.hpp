// SPDX-License-Identifier: Apache-2.0
//
// A compiled program of the probe, and the queue that runs it.  A linear whose
// result an add behind it reads, and nobody else, runs as one kernel with it.

#pragma once

#include <memory>
#include <vector>

#include "tests/abi/probe/device.hpp"

namespace tessera::probe {

class Program {
 public:
  Program(const sdk::ProgramView& program, const ProbeDevice& device);

  void run(const sdk::SubmissionView& step);

  uint32_t num_ops() const { return num_ops_; }
  const std::vector<tsr_segment>& segments() const { return segments_; }
  uint64_t workspace_bytes() const { return places_.workspace_bytes(); }

 private:
  struct Linear {
    tsr_op_linear op;
    std::shared_ptr<Weight> weight;
    uint32_t addend = TSR_NONE;  // of the add that runs with it
  };

  void compile(const sdk::ProgramView& program, const ProbeDevice& device);
  // True if the add behind `linear` is the only op that reads its result.
  bool can_fuse(const sdk::ProgramView& program, const tsr_op_linear& linear,
                uint32_t behind) const;
  void add_segment(uint32_t first_op, uint32_t num_ops, const char* kernel);
  void add(const tsr_op_elementwise& op, const tsr_submission& step) const;
  void linear(const Linear& linear, const tsr_submission& step) const;

  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  uint32_t num_ops_;
  std::vector<tsr_segment> segments_;
  std::vector<uint32_t> kinds_;  // of the segments' first ops
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
