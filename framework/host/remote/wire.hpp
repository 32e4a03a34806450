// SPDX-License-Identifier: Apache-2.0
//
// How calls are written down on their way to a child process and back: plain
// values one after another, each padded to 8 bytes, and file descriptors.  Both
// ends are built together, so structs cross as they lie in memory.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "framework/host/services/shared_memory.hpp"

namespace tessera {

class WireWriter {
 public:
  void clear();

  template <typename Value>
  void put(const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    append(&value, sizeof(value));
  }
  void put_bytes(std::span<const std::byte> bytes);
  // What another writer wrote.
  void put_raw(std::span<const std::byte> bytes);
  // Leaves room to be filled later; returns where.
  size_t reserve(size_t bytes);
  void fill(size_t at, const void* data, size_t bytes);
  void put_text(std::string_view text);
  // The descriptor stays the caller's, and open until the message is sent.
  void put_fd(int fd) { fds_.push_back(fd); }

  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<const int> fds() const { return fds_; }

 private:
  void append(const void* data, size_t bytes);

  std::vector<std::byte> bytes_;
  std::vector<int> fds_;
};

// Reads what a WireWriter wrote.  Past the end there are zeros, and ok() turns
// false for good.
class WireReader {
 public:
  // Room for `bytes` more to be received into.
  std::byte* reset(size_t bytes);
  void add_fd(FileDescriptor fd) { fds_.push_back(std::move(fd)); }

  template <typename Value>
  Value get() {
    static_assert(std::is_trivially_copyable_v<Value>);
    Value value{};
    if (const std::byte* data = take(sizeof(value))) {
      std::memcpy(&value, data, sizeof(value));
    }
    return value;
  }
  // Aligned to 8; valid until the next message.
  std::span<const std::byte> get_bytes();
  std::string get_text();
  // All that was not read yet; valid until the next message.
  std::span<const std::byte> rest() const {
    return std::span(bytes_).subspan(at_);
  }
  // Not open if there is none left.
  FileDescriptor get_fd();

  bool ok() const { return ok_; }

 private:
  const std::byte* take(uint64_t bytes);

  std::vector<std::byte> bytes_;
  size_t at_ = 0;
  std::vector<FileDescriptor> fds_;
  size_t next_fd_ = 0;
  bool ok_ = true;
};

// Sends one message.  False if the other end is gone.
bool send_message(int socket, const WireWriter& message);

// Waits for the next message.  False if the other end is gone or sends
// nonsense.
bool receive_message(int socket, WireReader& message);

}  // namespace tessera
