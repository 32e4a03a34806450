// SPDX-License-Identifier: Apache-2.0
//
// Memory of a device, and how the host sees it.

#pragma once

#include <cstdint>
#include <memory>

#include "backends/opencl/runtime/cl_handles.hpp"
#include "tessera/host_memory.hpp"

namespace tessera::opencl {

enum class Sharing {
  kShared,  // the device works in the host's memory: nothing to do
  kSvm,     // both work in memory of the driver's, fine-grained: nothing to do
  kMapped,  // the same memory, handed over by map and unmap
  kCopied,  // two memories, the host's pinned: ranges are copied
  kNone,    // the host does not see it
};

struct SvmReleaser {
  cl_context context = nullptr;
  void operator()(void* memory) const { clSVMFree(context, memory); }
};

// Host-visible buffers belong to the host but between to_device and to_host.
// One thread at a time, save for kShared and kSvm.
class Buffer {
 public:
  // `host` is memory of the host's; null for kNone, where the driver provides
  // it (kSvm), and where it is to be pinned (kCopied).
  //
  // Errors   throws RESOURCE_EXHAUSTED
  Buffer(cl_context context, cl_command_queue queue, uint64_t bytes,
         std::unique_ptr<sdk::HostBuffer> host, Sharing sharing);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  cl_mem memory() const { return memory_.get(); }
  uint64_t bytes() const { return bytes_; }
  // Throws INVALID_ARGUMENT if the range is not inside.
  void require_range(uint64_t offset, uint64_t bytes) const;
  // Throws FAILED_PRECONDITION if the host does not see the buffer.
  char* host() const;
  bool is_host_visible() const { return sharing_ != Sharing::kNone; }
  Sharing sharing() const { return sharing_; }

  // The device sees what the host wrote there, once what is enqueued is done.
  void to_device(cl_command_queue queue, uint64_t offset, uint64_t bytes);
  // The host sees what the device wrote there, once what is enqueued is done.
  void to_host(cl_command_queue queue, uint64_t offset, uint64_t bytes);
  // Writes bytes that the host does not see.  Returns when they are there.
  void write(cl_command_queue queue, uint64_t offset, uint64_t bytes,
             const void* data);

 private:
  void map(cl_command_queue queue);
  void make_pinned(cl_context context, cl_command_queue queue);

  uint64_t bytes_;
  Sharing sharing_;
  QueueHandle queue_;  // of the last unmap; kept for the end
  std::unique_ptr<sdk::HostBuffer> host_;
  std::unique_ptr<void, SvmReleaser> svm_;
  MemoryHandle pinned_;  // the host's side of kCopied, mapped for good
  char* host_memory_ = nullptr;
  MemoryHandle memory_;
  void* mapped_ = nullptr;
};

}  // namespace tessera::opencl
