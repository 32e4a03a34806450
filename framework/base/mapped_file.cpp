// SPDX-License-Identifier: Apache-2.0

#include "framework/base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace tessera {
namespace {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Where files are mapped: advice about any other memory could destroy it.
class Mappings {
 public:
  static Mappings& instance() {
    static Mappings mappings;
    return mappings;
  }

  void add(std::span<const std::byte> bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ends_[address(bytes.data())] = address(bytes.data()) + bytes.size();
  }

  void remove(std::span<const std::byte> bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ends_.erase(address(bytes.data()));
  }

  // Advises on the pages that `bytes` fills, for as long as they are mapped.
  void advise(std::span<const std::byte> bytes, int advice) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (address(bytes.data()) + page - 1) / page * page;
    const uintptr_t end = (address(bytes.data()) + bytes.size()) / page * page;
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = ends_.upper_bound(address(bytes.data()));
    if (begin >= end || found == ends_.begin() || end > (--found)->second) {
      return;
    }
    madvise(
        const_cast<std::byte*>(bytes.data()) + (begin - address(bytes.data())),
        end - begin, advice);
  }

 private:
  static uintptr_t address(const std::byte* data) {
    return reinterpret_cast<uintptr_t>(data);
  }

  std::mutex mutex_;
  std::map<uintptr_t, uintptr_t> ends_;  // by begin
};

}  // namespace

void prefetch_mapped(std::span<const std::byte> bytes) {
  Mappings::instance().advise(bytes, MADV_WILLNEED);
}

void release_mapped(std::span<const std::byte> bytes) {
  Mappings::instance().advise(bytes, MADV_DONTNEED);
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not hang before fstat refuses it.
  const Descriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return Status(TSR_NOT_FOUND, path + ": " + std::strerror(errno));
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0) {
    return Status(TSR_NOT_FOUND, path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return Status(TSR_INVALID_ARGUMENT, path + ": not a regular file");
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return MappedFile({});
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) {
    return Status(TSR_RESOURCE_EXHAUSTED, path + ": " + std::strerror(errno));
  }
  const std::span bytes(static_cast<const std::byte*>(data), size);
  Mappings::instance().add(bytes);
  return MappedFile(bytes);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    Mappings::instance().remove(bytes_);
    munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

}  // namespace tessera
