// SPDX-License-Identifier: Apache-2.0
//
// One kernel ready to be enqueued.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backends/opencl/runtime/cl_handles.hpp"
#include "backends/opencl/runtime/command_buffer.hpp"

namespace tessera::opencl {

// Where kernels of a step go.
struct Enqueue {
  cl_command_queue queue;
  std::vector<EventHandle>* events;  // one is added per kernel; null: none
  CommandBuffer* recording;          // null: they are enqueued at once
};

// Arguments are set in order by arg(), from the first again after run().  One
// thread at a time.
class Kernel {
 public:
  Kernel() = default;
  Kernel(std::string name, KernelHandle handle)
      : name_(std::move(name)), handle_(std::move(handle)) {}

  Kernel& arg(cl_mem memory) { return raw_arg(&memory, sizeof(void*)); }
  template <typename Value>
  Kernel& arg(const Value& value) {
    static_assert(!std::is_pointer_v<Value>);
    return raw_arg(&value, sizeof(value));
  }

  // Throws sdk::Error, naming the kernel.  Nothing is enqueued if a global size
  // is 0.
  void run(const Enqueue& enqueue, std::array<size_t, 2> global,
           std::array<size_t, 2> local = {1, 1});

  const std::string& name() const { return name_; }

 private:
  Kernel& raw_arg(const void* value, size_t bytes);

  std::string name_;
  KernelHandle handle_;
  cl_uint next_ = 0;
};

}  // namespace tessera::opencl
