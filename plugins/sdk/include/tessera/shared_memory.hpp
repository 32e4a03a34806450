// SPDX-License-Identifier: Apache-2.0
//
// tessera/shared_memory.hpp - buffers over memory that other processes and
// devices have too, behind a POSIX file descriptor.

#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "tessera/host_memory.hpp"

namespace tessera::sdk {

// The first `bytes` behind `fd`, which stays the caller's.  Throws
// INVALID_ARGUMENT if there are fewer, for touching what is not there would end
// the process; RESOURCE_EXHAUSTED if they cannot be mapped.
inline std::shared_ptr<char> map_shared(int fd, uint64_t bytes) {
  struct stat facts {};
  if (fstat(fd, &facts) != 0 || facts.st_size < 0 ||
      static_cast<uint64_t>(facts.st_size) < bytes || bytes == 0) {
    throw Error(TSR_INVALID_ARGUMENT, "descriptor " + std::to_string(fd) +
                                          " has no memory of " +
                                          std::to_string(bytes) + " bytes");
  }
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    throw Error(TSR_RESOURCE_EXHAUSTED,
                std::to_string(bytes) + " shared bytes cannot be mapped");
  }
  return {static_cast<char*>(memory),
          [bytes](char* mapped) { munmap(mapped, bytes); }};
}

// A device of host memory that imports descriptors as well.
class SharedMemoryDevice : public HostMemoryDevice {
 public:
  // What its memory kind says.
  static constexpr uint32_t kHandles =
      uint32_t{TSR_HANDLE_HOST_POINTER} | uint32_t{TSR_HANDLE_FD};

  using HostMemoryDevice::HostMemoryDevice;

  void buffer_import(const tsr_buffer_desc& desc, uint32_t type,
                     uint64_t handle) override {
    if (type != TSR_HANDLE_FD) {
      HostMemoryDevice::buffer_import(desc, type, handle);
      return;
    }
    add_buffer(desc.id, std::make_shared<HostBuffer>(
                            map_shared(static_cast<int>(handle), desc.bytes),
                            desc.bytes));
  }
};

}  // namespace tessera::sdk
