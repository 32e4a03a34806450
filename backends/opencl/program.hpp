// SPDX-License-Identifier: Apache-2.0
//
// A recorded program: one launch for each op, enqueued again in every step.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/opencl/launch/launch.hpp"
#include "backends/opencl/places.hpp"
#include "tessera/record.hpp"

namespace tessera::opencl {

class OpenClDevice;

class Program {
 public:
  // Errors: throws INVALID_ARGUMENT for ids or bindings that do not exist,
  // UNIMPLEMENTED for ops this device does not run.
  Program(OpenClDevice& device, const sdk::ProgramView& view);

  tsr_program_info info() const;
  tsr_segment segment(uint32_t index) const;

  // Runs one step and returns when it is done.
  void run(cl_command_queue queue, const sdk::SubmissionView& submission);

 private:
  void make_launches(const sdk::ProgramView& view);
  void enqueue(cl_command_queue queue, const sdk::SubmissionView& submission);
  void check_faults(cl_command_queue queue);

  OpenClDevice& device_;
  tsr_program_desc desc_;
  std::vector<std::unique_ptr<Launch>> launches_;
  std::unique_ptr<TensorPlaces> places_;
  std::shared_ptr<Buffer> fault_;
  std::mutex mutex_;  // kernels keep their arguments
};

}  // namespace tessera::opencl
