// SPDX-License-Identifier: Apache-2.0
//
// A step of a program that is enqueued: what its end tells.

#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "backends/opencl/runtime/cl_handles.hpp"

namespace tessera::opencl {

class Program;

// The first fault of a step: what, as kernels/base.cl numbers them, and the
// value that was wrong.
using Fault = std::array<cl_int, 2>;

struct RunningStep {
  std::shared_ptr<Program> program;
  Fault fault{};                     // written when `done` is complete
  EventHandle done;                  // after everything else
  std::vector<EventHandle> kernels;  // only of a profiled step
  std::vector<size_t> firsts;        // of each op among them, and their end

  // Takes what the step tells, once `done` is complete.
  //
  // Errors  throws INVALID_ARGUMENT for a fault, INTERNAL if a kernel failed
  void finish();
};

}  // namespace tessera::opencl
