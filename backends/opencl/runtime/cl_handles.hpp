// SPDX-License-Identifier: Apache-2.0
//
// OpenCL objects that release themselves, and failures as sdk::Error.

#pragma once

#include <CL/cl.h>

#include <memory>
#include <string>
#include <type_traits>

namespace tessera::opencl {

// Throws sdk::Error unless `code` is CL_SUCCESS: RESOURCE_EXHAUSTED where
// memory ran out, UNAVAILABLE where the device went away, else INTERNAL.
void check_cl(cl_int code, const std::string& what);

template <auto kRelease>
struct Releaser {
  template <typename Object>
  void operator()(Object* object) const {
    kRelease(object);
  }
};

template <typename Object, auto kRelease>
using Handle =
    std::unique_ptr<std::remove_pointer_t<Object>, Releaser<kRelease>>;

using ContextHandle = Handle<cl_context, clReleaseContext>;
using EventHandle = Handle<cl_event, clReleaseEvent>;
using KernelHandle = Handle<cl_kernel, clReleaseKernel>;
using MemoryHandle = Handle<cl_mem, clReleaseMemObject>;
using ProgramHandle = Handle<cl_program, clReleaseProgram>;
using QueueHandle = Handle<cl_command_queue, clReleaseCommandQueue>;

}  // namespace tessera::opencl
