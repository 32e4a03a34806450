// SPDX-License-Identifier: Apache-2.0
//
// A buffer whose bytes a test reads and writes: the device's own memory, or,
// where device_under_test() says so, memory of the host's that it imports.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/host/device/device.hpp"

namespace tessera::device_test {

// Moves only.
class SharedBuffer {
 public:
  static Result<SharedBuffer> create(Device& device, uint64_t bytes);

  uint64_t id() const { return buffer_.id(); }
  std::byte* memory() const { return memory_; }

 private:
  SharedBuffer() = default;

  std::vector<std::byte> imported_;  // outlives the buffer
  Buffer buffer_;
  std::byte* memory_ = nullptr;
};

}  // namespace tessera::device_test
