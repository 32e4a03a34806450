// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/command_buffer.hpp"

#include <utility>

namespace tessera::opencl {
namespace {

template <typename Function>
void look_up(cl_platform_id platform, const char* name, Function& function) {
  function = reinterpret_cast<Function>(
      clGetExtensionFunctionAddressForPlatform(platform, name));
}

cl_device_command_buffer_capabilities_khr capabilities_of(cl_device_id device) {
  cl_device_command_buffer_capabilities_khr value = 0;
  const cl_int code =
      clGetDeviceInfo(device, CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR,
                      sizeof(value), &value, nullptr);
  return code == CL_SUCCESS ? value : 0;
}

}  // namespace

CommandBufferApi::CommandBufferApi(const DeviceFacts& facts) {
  if (!facts.has_extension(CL_KHR_COMMAND_BUFFER_EXTENSION_NAME)) return;
  look_up(facts.platform, "clCreateCommandBufferKHR", create_);
  look_up(facts.platform, "clReleaseCommandBufferKHR", release_);
  look_up(facts.platform, "clCommandNDRangeKernelKHR", add_kernel_);
  look_up(facts.platform, "clFinalizeCommandBufferKHR", finalize_);
  look_up(facts.platform, "clEnqueueCommandBufferKHR", enqueue_);
  if (create_ == nullptr || release_ == nullptr || add_kernel_ == nullptr ||
      finalize_ == nullptr) {
    enqueue_ = nullptr;
  }
  may_be_pending_twice_ =
      (capabilities_of(facts.device) &
       CL_COMMAND_BUFFER_CAPABILITY_SIMULTANEOUS_USE_KHR) != 0;
}

CommandBuffer::CommandBuffer(const CommandBufferApi& api,
                             cl_command_queue queue)
    : api_(api), queue_(queue) {
  const cl_command_buffer_properties_khr properties[] = {
      CL_COMMAND_BUFFER_FLAGS_KHR, CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR, 0};
  cl_int code = CL_SUCCESS;
  commands_ = api.create_(
      1, &queue, api.may_be_pending_twice_ ? properties : nullptr, &code);
  check_cl(code, "clCreateCommandBufferKHR");
}

CommandBuffer::~CommandBuffer() { api_.release_(commands_); }

void CommandBuffer::add(KernelHandle kernel, const std::string& name,
                        const std::array<size_t, 2>& global,
                        const std::array<size_t, 2>& local) {
  check_cl(api_.add_kernel_(commands_, nullptr, nullptr, kernel.get(), 2,
                            nullptr, global.data(), local.data(), 0, nullptr,
                            nullptr, nullptr),
           "recording " + name);
  kernels_.push_back(std::move(kernel));
}

void CommandBuffer::finish() {
  check_cl(api_.finalize_(commands_), "clFinalizeCommandBufferKHR");
}

void CommandBuffer::enqueue() {
  if (!api_.may_be_pending_twice_) check_cl(clFinish(queue_), "clFinish");
  check_cl(api_.enqueue_(0, nullptr, commands_, 0, nullptr, nullptr),
           "clEnqueueCommandBufferKHR");
}

}  // namespace tessera::opencl
