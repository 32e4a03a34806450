// SPDX-License-Identifier: Apache-2.0
//
// E4M3 of the OCP 8-bit floats as bits: no infinity, NaN 0x7F and 0xFF, at most
// 448.

#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace tessera::npu {

inline constexpr float kMostF8 = 448.0f;

inline float f32_from_f8(uint8_t code) {
  const uint32_t sign = static_cast<uint32_t>(code & 0x80U) << 24;
  const uint32_t magnitude = code & 0x7FU;
  if (magnitude == 0x7FU) return std::bit_cast<float>(sign | 0x7FC00000U);
  // As f32_from_f16: the product moves the exponent.
  const float scaled = std::bit_cast<float>(magnitude << 20) * 0x1p120f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | sign);
}

// Rounds to nearest even; what is larger than 448 becomes that.
//
// Requires  value is no NaN
inline uint8_t f8_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  // Below 2^-6 the sum with 2^14 rounds at 2^-9, where a subnormal ends.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14f) -
      0x46800000U;
  const uint32_t normal =
      (magnitude + 0x7FFFFU + (magnitude >> 20 & 1U) - 0x3C000000U) >> 20;
  const uint32_t result = magnitude < 0x3C800000U ? subnormal : normal;
  return static_cast<uint8_t>(std::min(result, 0x7EU) | (bits >> 24 & 0x80U));
}

}  // namespace tessera::npu
