// SPDX-License-Identifier: Apache-2.0
//
// One element of a plane or tensor as a number, whatever its dtype.  Slow and
// plain: codecs and the oracle read through it, kernels do not.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tessera::format {

// Nibble k of a row, two a byte, the lower index in the low nibble.
inline uint32_t nibble(const std::byte* row, size_t k) {
  const auto pair = std::to_integer<uint32_t>(row[k / 2]);
  return k % 2 == 0 ? pair & 15U : pair >> 4;
}

inline void set_nibble(std::byte* row, size_t k, uint32_t code) {
  const uint32_t shift = k % 2 == 0 ? 0 : 4;
  const auto kept = std::to_integer<uint32_t>(row[k / 2]) & (0xf0U >> shift);
  row[k / 2] = static_cast<std::byte>(kept | (code & 15U) << shift);
}

// A T at byte offset index * sizeof(T), which need not be aligned.
template <typename T>
T load_element(const std::byte* row, size_t index) {
  T value;
  std::memcpy(&value, row + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store_element(std::byte* row, size_t index, T value) {
  std::memcpy(row + index * sizeof(T), &value, sizeof(T));
}

// Element `index` of a row of `dtype`, exactly.
// Requires: a dtype of types.h whose values fit a double (I64 below 2^53).
double element_value(uint32_t dtype, const std::byte* row, size_t index);

// Stores `value` as `dtype`: floats rounded to nearest even, F8 and F4
// saturating; E8M0 takes the power of two at or below; integers take an
// integral value in range.
void set_element_value(uint32_t dtype, std::byte* row, size_t index,
                       float value);

}  // namespace tessera::format
