// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/kernel.hpp"

#include <utility>

namespace tessera::opencl {
namespace {

// The same kernel as an object of its own, without arguments.
KernelHandle another(cl_kernel kernel, const std::string& name) {
  cl_program program = nullptr;
  check_cl(clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof(cl_program),
                           &program, nullptr),
           "clGetKernelInfo of " + name);
  cl_int code = CL_SUCCESS;
  KernelHandle made(clCreateKernel(program, name.c_str(), &code));
  check_cl(code, "clCreateKernel of " + name);
  return made;
}

}  // namespace

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
    KernelHandle recorded = another(handle_.get(), name_);
    std::swap(recorded, handle_);
    return enqueue.recording->add(std::move(recorded), name_, global, local);
  }
  cl_event event = nullptr;
  check_cl(clEnqueueNDRangeKernel(enqueue.queue, handle_.get(), 2, nullptr,
                                  global.data(), local.data(), 0, nullptr,
                                  enqueue.events == nullptr ? nullptr : &event),
           name_);
  if (enqueue.events != nullptr) enqueue.events->emplace_back(event);
}

}  // namespace tessera::opencl
