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
  const std::string what = "a buffer of " + std::to_string(bytes) + " bytes";
  const size_t size = bytes == 0 ? 1 : bytes;  // OpenCL has no empty buffers
  if (host_ != nullptr) {
    host_memory_ = host_->at(0, 0);
  } else if (sharing == Sharing::kSvm) {
    constexpr cl_uint kLargestType = 128;  // bytes, of long16
    svm_ = {
        clSVMAlloc(context, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER,
                   size, kLargestType),
        SvmReleaser{context}};
    if (svm_ == nullptr) check_cl(CL_MEM_OBJECT_ALLOCATION_FAILURE, what);
    host_memory_ = static_cast<char*>(svm_.get());
  } else if (sharing == Sharing::kCopied) {
    make_pinned(context, queue);
  }
  const bool in_place =
      sharing != Sharing::kCopied && sharing != Sharing::kNone;
  const cl_mem_flags flags =
      in_place ? CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR : CL_MEM_READ_WRITE;
  cl_int code = CL_SUCCESS;
  memory_.reset(clCreateBuffer(context, flags, size,
                               in_place ? host_memory_ : nullptr, &code));
  check_cl(code, what);
  if (sharing != Sharing::kMapped) return;
  map(queue);
  check_cl(clFinish(queue), "clFinish");
}

Buffer::~Buffer() {
  if (pinned_ != nullptr) {
    clEnqueueUnmapMemObject(queue_.get(), pinned_.get(), host_memory_, 0,
                            nullptr, nullptr);
  }
  if (mapped_ != nullptr) {
    clEnqueueUnmapMemObject(queue_.get(), memory_.get(), mapped_, 0, nullptr,
                            nullptr);
  }
  if (pinned_ != nullptr || mapped_ != nullptr) clFinish(queue_.get());
}

// Copies from memory of the driver's run at the bus's full speed.
void Buffer::make_pinned(cl_context context, cl_command_queue queue) {
  const size_t size = bytes_ == 0 ? 1 : bytes_;
  cl_int code = CL_SUCCESS;
  pinned_.reset(clCreateBuffer(context,
                               CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, size,
                               nullptr, &code));
  check_cl(code, "pinned memory of " + std::to_string(bytes_) + " bytes");
  host_memory_ = static_cast<char*>(clEnqueueMapBuffer(
      queue, pinned_.get(), CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0,
      nullptr, nullptr, &code));
  check_cl(code, "clEnqueueMapBuffer");
}

void Buffer::require_range(uint64_t offset, uint64_t bytes) const {
  if (offset <= bytes_ && bytes <= bytes_ - offset) return;
  throw sdk::Error(TSR_INVALID_ARGUMENT, "bytes " + std::to_string(offset) +
                                             " + " + std::to_string(bytes) +
                                             " of a buffer of " +
                                             std::to_string(bytes_));
}

char* Buffer::host() const {
  if (!is_host_visible()) {
    throw sdk::Error(TSR_FAILED_PRECONDITION,
                     "the buffer is in device memory, which the host does not "
                     "see");
  }
  return host_memory_;
}

void Buffer::map(cl_command_queue queue) {
  cl_int code = CL_SUCCESS;
  mapped_ = clEnqueueMapBuffer(
      queue, memory_.get(), CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0,
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
    require_range(offset, bytes);
    check_cl(clEnqueueWriteBuffer(queue, memory_.get(), CL_FALSE, offset, bytes,
                                  host_memory_ + offset, 0, nullptr, nullptr),
             "clEnqueueWriteBuffer");
  }
}

void Buffer::to_host(cl_command_queue queue, uint64_t offset, uint64_t bytes) {
  if (sharing_ == Sharing::kMapped && mapped_ == nullptr) {
    map(queue);
  } else if (sharing_ == Sharing::kCopied && bytes > 0) {
    require_range(offset, bytes);
    check_cl(clEnqueueReadBuffer(queue, memory_.get(), CL_FALSE, offset, bytes,
                                 host_memory_ + offset, 0, nullptr, nullptr),
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
