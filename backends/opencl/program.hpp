// SPDX-License-Identifier: Apache-2.0
//
// A recorded program: one launch for each op, enqueued again in every step, or
// replayed from a command buffer where steps are alike.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/opencl/launch/launch.hpp"
#include "backends/opencl/places.hpp"
#include "backends/opencl/recordings.hpp"
#include "backends/opencl/running_step.hpp"
#include "tessera/record.hpp"

namespace tessera::opencl {

class OpenClDevice;

class Program : public std::enable_shared_from_this<Program> {
 public:
  // Errors: throws INVALID_ARGUMENT for ids or bindings that do not exist,
  // UNIMPLEMENTED for ops this device does not run.
  Program(OpenClDevice& device, const sdk::ProgramView& view);

  tsr_program_info info() const;
  tsr_segment segment(uint32_t index) const;

  // Enqueues one step.  The buffers that it binds belong to the device until
  // the step is done.
  //
  // Errors  throws INVALID_ARGUMENT for a step that the program cannot run
  std::unique_ptr<RunningStep> start(cl_command_queue queue,
                                     const sdk::SubmissionView& submission);

  // Of a step that is done.  Throws INVALID_ARGUMENT if it had a fault.
  void check(const Fault& fault);
  void add_profile(const RunningStep& step);

 private:
  void make_launches(const sdk::ProgramView& view);
  void enqueue(cl_command_queue queue, const tsr_submission& submission,
               RunningStep* profiled);
  void launch_all(const tsr_submission& submission, const Enqueue& enqueue,
                  RunningStep* profiled);

  OpenClDevice& device_;
  tsr_program_desc desc_;
  std::vector<std::unique_ptr<Launch>> launches_;
  std::unique_ptr<TensorPlaces> places_;
  std::shared_ptr<Buffer> fault_;
  std::atomic<bool> fault_is_stale_{false};  // must be cleared for a new step
  Recordings recordings_;
  std::mutex mutex_;  // kernels keep their arguments
};

}  // namespace tessera::opencl
