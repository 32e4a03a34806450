// SPDX-License-Identifier: Apache-2.0
//
// Tensors of a step as rows of f32, whatever their type.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "fault.hpp"
#include "tessera/types.h"

namespace mutant {

inline uint64_t element_bytes(uint32_t dtype) {
  return dtype == TSR_F32 || dtype == TSR_I32 ? 4 : 2;
}

inline float load(const char* place, uint32_t dtype) {
  if (dtype == TSR_F32) {
    float value = 0;
    std::memcpy(&value, place, sizeof(value));
    return value;
  }
  uint16_t half = 0;
  std::memcpy(&half, place, sizeof(half));
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// bf16 rounds to nearest, ties to even.
inline void store(char* place, uint32_t dtype, float value) {
  if (dtype == TSR_F32) {
    std::memcpy(place, &value, sizeof(value));
    return;
  }
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  if (has("bf16_truncates")) rounded = bits;
  if (std::isnan(value)) rounded = bits | 0x400000U;
  const auto half = static_cast<uint16_t>(rounded >> 16);
  std::memcpy(place, &half, sizeof(half));
}

// Rows of a tensor.
struct Rows {
  char* data = nullptr;
  uint32_t dtype = TSR_F32;
  uint64_t stride = 0;  // elements

  float at(uint64_t row, uint64_t col) const {
    return load(data + (row * stride + col) * element_bytes(dtype), dtype);
  }
  void set(uint64_t row, uint64_t col, float value) const {
    store(data + (row * stride + col) * element_bytes(dtype), dtype, value);
  }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace mutant
