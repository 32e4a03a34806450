// SPDX-License-Identifier: Apache-2.0
//
// A recorded program: one launch for each op.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/npu_sim/launches/launch.hpp"
#include "tessera/places.hpp"
#include "tessera/record.hpp"

namespace tessera::npu {

class NpuDevice;

class Program {
 public:
  // Errors: throws INVALID_ARGUMENT for ids or bindings that do not exist,
  // UNIMPLEMENTED for ops this device does not run.
  Program(NpuDevice& device, const sdk::ProgramView& view);

  tsr_program_info info() const;
  tsr_segment segment(uint32_t index) const;

  // Runs one step.  With `records`, times it and appends one per launch.  One
  // thread at a time.
  void run(const sdk::SubmissionView& submission,
           std::vector<tsr_kernel_record>* records);

 private:
  void check_step(const tsr_submission& submission) const;
  void add_record(const Step& step, uint32_t op,
                  std::vector<tsr_kernel_record>& records) const;

  NpuDevice& device_;
  tsr_program_desc desc_;
  sdk::TensorPlaces places_;
  std::vector<std::unique_ptr<Launch>> launches_;
};

}  // namespace tessera::npu
