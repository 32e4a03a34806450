// SPDX-License-Identifier: Apache-2.0
//
// A program after program_create: everything that can be decided once is.

#pragma once

#include <vector>

#include "tessera/places.hpp"
#include "tessera/plugin.hpp"

namespace my {

class Program {
 public:
  // The record is borrowed for the call only, so what is needed is copied.
  // Every op has passed `check`.
  Program(const tessera::sdk::ProgramView& program,
          const tessera::sdk::HostMemoryDevice& device);

  // Runs one step: `step` says how many tokens there are and rebinds tensors.
  void run(const tessera::sdk::SubmissionView& step);

  uint32_t num_ops() const { return static_cast<uint32_t>(adds_.size()); }
  uint64_t workspace_bytes() const { return places_.workspace_bytes(); }

 private:
  void run_add(const tsr_op_elementwise& op, const tsr_submission& step) const;
  uint64_t row_stride(uint32_t tensor) const;

  tsr_program_desc desc_;
  std::vector<tsr_tensor> tensors_;
  std::vector<tsr_op_elementwise> adds_;
  tessera::sdk::TensorPlaces places_;
};

}  // namespace my
