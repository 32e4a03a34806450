// SPDX-License-Identifier: Apache-2.0
//
// UB as vector instructions see it: values at byte offsets, checked where they
// are touched.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/bytes.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {

class UnifiedBuffer {
 public:
  explicit UnifiedBuffer(std::vector<uint8_t>& bytes) : bytes_(bytes) {}

  // Errors  throws sdk::Error INTERNAL if they lie outside.
  uint8_t* at(uint64_t offset, size_t bytes) {
    if (offset > bytes_.size() || bytes > bytes_.size() - offset) {
      throw sdk::Error(TSR_INTERNAL, "memory: an operand leaves ub");
    }
    return bytes_.data() + offset;
  }
  template <typename Value>
  Value read(uint64_t offset) {
    return load_value<Value>(at(offset, sizeof(Value)));
  }
  template <typename Value>
  void write(uint64_t offset, Value value) {
    store_value(at(offset, sizeof(Value)), value);
  }

 private:
  std::vector<uint8_t>& bytes_;
};

}  // namespace tessera::npu
