// SPDX-License-Identifier: Apache-2.0
//
// Memory that a child process can map too.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"

namespace tessera {

// A descriptor that is closed when it goes.  Moves only.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

// Zeroed memory behind a file descriptor, mapped shared.  Moves only.
class SharedMemory {
 public:
  SharedMemory() = default;
  // Errors: RESOURCE_EXHAUSTED.
  static Result<SharedMemory> create(const char* name, uint64_t bytes);
  // Maps `bytes` of what another process created.
  // Errors: INVALID_ARGUMENT if there are fewer; RESOURCE_EXHAUSTED.
  static Result<SharedMemory> map(FileDescriptor fd, uint64_t bytes);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  int fd() const { return fd_.get(); }
  // The mapping stays.
  void close_fd() { fd_ = FileDescriptor(); }
  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  FileDescriptor fd_;
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace tessera
