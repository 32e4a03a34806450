// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/kernel.hpp"

namespace tessera::opencl {

Kernel& Kernel::raw_arg(const void* value, size_t bytes) {
  check_cl(clSetKernelArg(handle_.get(), next_, bytes, value),
           "argument " + std::to_string(next_) + " of " + name_);
  ++next_;
  return *this;
}

void Kernel::run(const Enqueue& enqueue, std::array<size_t, 2> global,
                 std::array<size_t, 2> local) {
  next_ = 0;
  if (global[0] == 0 || global[1] == 0) return;
  if (enqueue.recording != nullptr) {
    enqueue.recording->add(handle_.get(), name_, global, local);
    return;
  }
  cl_event event = nullptr;
  check_cl(clEnqueueNDRangeKernel(enqueue.queue, handle_.get(), 2, nullptr,
                                  global.data(), local.data(), 0, nullptr,
                                  enqueue.events == nullptr ? nullptr : &event),
           name_);
  if (enqueue.events != nullptr) enqueue.events->emplace_back(event);
}

}  // namespace tessera::opencl
