// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/runtime/buffer.hpp"

#include <string>
#include <utility>

namespace tessera::opencl {

Buffer::Buffer(cl_context context, cl_command_queue queue, uint64_t bytes,
               std::unique_ptr<sdk::HostBuffer> host, Sharing sharing)
    : bytes_(bytes), sharing_(sharing), host_(std::move(host)) {
  check_cl(clRetainCommandQueue(queue), "clRetainCommandQueue");
  queue_.reset(queue);
  const bool in_place =
      sharing == Sharing::kShared || sharing == Sharing::kMapped;
  const cl_mem_flags flags =
      in_place ? CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR : CL_MEM_READ_WRITE;
  const size_t size = bytes == 0 ? 1 : bytes;  // OpenCL has no empty buffers
  cl_int code = CL_SUCCESS;
  memory_.reset(clCreateBuffer(context, flags, size,
                               in_place ? host_->at(0, 0) : nullptr, &code));
  check_cl(code, "a buffer of " + std::to_string(bytes) + " bytes");
  if (sharing == Sharing::kMapped) map(queue);
}

Buffer::~Buffer() {
  if (mapped_ == nullptr) return;
  clEnqueueUnmapMemObject(queue_.get(), memory_.get(), mapped_, 0, nullptr,
                          nullptr);
  clFinish(queue_.get());
}

void Buffer::require_range(uint64_t offset, uint64_t bytes) const {
  if (offset <= bytes_ && bytes <= bytes_ - offset) return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, "bytes " + std::to_string(offset) +
                                             " + " + std::to_string(bytes) +
                                             " of a buffer of " +
                                             std::to_string(bytes_));
}

char* Buffer::host() const {
  if (host_ == nullptr) {
    throw sdk::Error(TSR_FAILED_PRECONDITION,
                     "the buffer is in device memory, which the host does not "
                     "see");
  }
  return host_->at(0, 0);
}

void Buffer::map(cl_command_queue queue) {
  cl_int code = CL_SUCCESS;
  mapped_ = clEnqueueMapBuffer(
      queue, memory_.get(), CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
      bytes_ == 0 ? 1 : bytes_, 0, nullptr, nullptr, &code);
  check_cl(code, "clEnqueueMapBuffer");
}

void Buffer::to_device(cl_command_queue queue, uint64_t offset,
                       uint64_t bytes) {
  if (sharing_ == Sharing::kMapped && mapped_ != nullptr) {
    check_cl(clEnqueueUnmapMemObject(queue, memory_.get(), mapped_, 0, nullptr,
                                     nullptr),
             "clEnqueueUnmapMemObject");
    mapped_ = nullptr;
  } else if (sharing_ == Sharing::kCopied && bytes > 0) {
    write(queue, offset, bytes, host_->at(offset, bytes));
  }
}

void Buffer::to_host(cl_command_queue queue, uint64_t offset, uint64_t bytes) {
  if (sharing_ == Sharing::kMapped && mapped_ == nullptr) {
    map(queue);
  } else if (sharing_ == Sharing::kCopied && bytes > 0) {
    check_cl(clEnqueueReadBuffer(queue, memory_.get(), CL_TRUE, offset, bytes,
                                 host_->at(offset, bytes), 0, nullptr, nullptr),
             "clEnqueueReadBuffer");
  }
}

void Buffer::write(cl_command_queue queue, uint64_t offset, uint64_t bytes,
                   const void* data) {
  check_cl(clEnqueueWriteBuffer(queue, memory_.get(), CL_TRUE, offset, bytes,
                                data, 0, nullptr, nullptr),
           "clEnqueueWriteBuffer");
}

}  // namespace tessera::opencl
