// SPDX-License-Identifier: Apache-2.0
//
// Values in a core's memories, which are bytes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tessera::npu {

inline size_t round_to(size_t value, size_t to) {
  return (value + to - 1) / to * to;
}

template <typename Value>
Value load_value(const uint8_t* from) {
  Value value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename Value>
void store_value(uint8_t* to, Value value) {
  std::memcpy(to, &value, sizeof(value));
}

// Code `at` of packed 4-bit ones, the low nibble first.
inline int32_t signed_nibble(const uint8_t* codes, size_t at) {
  const int32_t nibble = (codes[at / 2] >> (at % 2 * 4)) & 0x0F;
  return nibble < 8 ? nibble : nibble - 16;
}

}  // namespace tessera::npu
