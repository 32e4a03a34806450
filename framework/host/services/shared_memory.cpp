// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/shared_memory.hpp"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace tessera {
namespace {

Status no_memory(const char* what, uint64_t bytes) {
  const std::string reason = std::strerror(errno);
  return {TSR_RESOURCE_EXHAUSTED, std::string(what) + " of " +
                                      std::to_string(bytes) +
                                      " shared bytes: " + reason};
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) close(fd_);
}

int FileDescriptor::release() { return std::exchange(fd_, -1); }

Result<SharedMemory> SharedMemory::create(const char* name, uint64_t bytes) {
  FileDescriptor fd(memfd_create(name, MFD_CLOEXEC));
  if (!fd.is_open() || bytes > INT64_MAX ||
      ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return no_memory("file", bytes);
  }
  return map(std::move(fd), bytes);
}

Result<SharedMemory> SharedMemory::map(FileDescriptor fd, uint64_t bytes) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0 || info.st_size < 0 ||
      static_cast<uint64_t>(info.st_size) < bytes) {
    return Status(TSR_INVALID_ARGUMENT, "shared memory of fewer than " +
                                            std::to_string(bytes) + " bytes");
  }
  SharedMemory memory;
  memory.fd_ = std::move(fd);
  memory.bytes_ = bytes;
  if (bytes == 0) return memory;
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                    memory.fd_.get(), 0);
  if (data == MAP_FAILED) return no_memory("mapping", bytes);
  memory.data_ = static_cast<std::byte*>(data);
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace tessera
