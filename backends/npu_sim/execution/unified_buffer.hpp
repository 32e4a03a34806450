// SPDX-License-Identifier: Apache-2.0
//
// UB as vector instructions see it: values at byte offsets, checked where they
// are touched.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/bytes.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "backends/npu_sim/problem/problem.hpp"
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

  // Element `index` of floats of `type` that begin at `base`.
  float read_float(Type type, uint64_t base, size_t index) {
    if (type == Type::kF16) {
      return f32_from_f16(read<uint16_t>(base + 2 * index));
    }
    if (type == Type::kBf16) {
      return f32_from_bf16(read<uint16_t>(base + 2 * index));
    }
    return read<float>(base + 4 * index);
  }
  void write_float(Type type, uint64_t base, size_t index, float value) {
    if (type == Type::kF16) return write(base + 2 * index, f16_from_f32(value));
    if (type == Type::kBf16) {
      return write(base + 2 * index, bf16_from_f32(value));
    }
    write(base + 4 * index, value);
  }

 private:
  std::vector<uint8_t>& bytes_;
};

}  // namespace tessera::npu
