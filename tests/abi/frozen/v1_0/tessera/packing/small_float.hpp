// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/small_float.hpp - 16-bit and smaller floats as f32,
// exactly.

#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "tessera/portable_math.h"

namespace tessera::sdk::packing {

inline float f32_from_bf16(uint16_t bits) {
  return tsr_from_bits_f32(uint32_t{bits} << 16);
}

inline float f32_from_f16(uint16_t bits) {
  const uint32_t sign = uint32_t{bits & 0x8000U} << 16;
  const uint32_t exponent = bits >> 10 & 31U;
  const uint32_t mantissa = bits & 0x3ffU;
  float magnitude = 0.0f;
  if (exponent == 31) {
    magnitude = tsr_from_bits_f32(0x7f800000U | mantissa << 13);
  } else if (exponent == 0) {
    magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  } else {
    magnitude = tsr_from_bits_f32((exponent + 112) << 23 | mantissa << 13);
  }
  return tsr_from_bits_f32(tsr_bits_f32(magnitude) | sign);
}

inline float f32_from_f8e4m3(uint8_t bits) {
  const uint32_t magnitude = bits & 0x7fU;
  const float sign = (bits & 0x80U) != 0 ? -1.0f : 1.0f;
  if (magnitude == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const auto mantissa = static_cast<float>(magnitude & 7U);
  const auto exponent = static_cast<int>(magnitude >> 3);
  if (exponent == 0) return sign * mantissa * 0x1p-9f;
  return sign * std::ldexp(8.0f + mantissa, exponent - 10);
}

// 2^(bits - 127); 255 is NaN.
inline float f32_from_e8m0(uint8_t bits) {
  if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, int{bits} - 127);
}

}  // namespace tessera::sdk::packing
