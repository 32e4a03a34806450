// SPDX-License-Identifier: Apache-2.0
//
// cl_khr_command_buffer: kernels recorded with their arguments once, and
// enqueued together in every step.

#pragma once

#include <CL/cl_ext.h>

#include <array>
#include <string>
#include <vector>

#include "backends/opencl/runtime/cl_handles.hpp"
#include "backends/opencl/runtime/device_facts.hpp"

namespace tessera::opencl {

// The functions of the extension.
class CommandBufferApi {
 public:
  explicit CommandBufferApi(const DeviceFacts& facts);

  // False if the device does not have it.
  bool is_offered() const { return enqueue_ != nullptr; }

 private:
  friend class CommandBuffer;

  clCreateCommandBufferKHR_fn create_ = nullptr;
  clReleaseCommandBufferKHR_fn release_ = nullptr;
  clCommandNDRangeKernelKHR_fn add_kernel_ = nullptr;
  clFinalizeCommandBufferKHR_fn finalize_ = nullptr;
  clEnqueueCommandBufferKHR_fn enqueue_ = nullptr;
  bool may_be_pending_twice_ = false;
};

// Records for one in-order queue.  One thread at a time.
class CommandBuffer {
 public:
  // Requires  api.is_offered()
  // Errors    throws sdk::Error, as everything here
  CommandBuffer(const CommandBufferApi& api, cl_command_queue queue);
  ~CommandBuffer();
  CommandBuffer(const CommandBuffer&) = delete;
  CommandBuffer& operator=(const CommandBuffer&) = delete;

  // The kernel with the arguments that it has, which are this buffer's alone
  // from here on: PoCL 3.1 reads them when the buffer is enqueued.
  void add(KernelHandle kernel, const std::string& name,
           const std::array<size_t, 2>& global,
           const std::array<size_t, 2>& local);
  // Nothing can be added any more.
  void finish();
  // Runs what is recorded, after all that is enqueued.
  void enqueue();

 private:
  const CommandBufferApi& api_;
  cl_command_queue queue_;
  std::vector<KernelHandle> kernels_;
  cl_command_buffer_khr commands_ = nullptr;
};

}  // namespace tessera::opencl
