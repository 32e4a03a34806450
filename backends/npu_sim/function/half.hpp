// SPDX-License-Identifier: Apache-2.0
//
// 16-bit floats as bits.  Written so that compilers turn loops over them into
// vector code.

#pragma once

#include <bit>
#include <cstdint>

namespace tessera::npu {

// The 16-bit float type that a cube multiplies.
enum class Half : uint8_t { kF16, kBf16 };

inline float f32_from_f16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t magnitude = half & 0x7FFFU;
  // A multiplication by 2^112 moves the exponent and makes subnormals normal.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t special = magnitude >= 0x7C00U ? 0x7F800000U : 0U;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
}

// Rounds to nearest even.
inline uint16_t f16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000U;
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  // Below 2^-14 the sum with 0.5 rounds at 2^-24, where a subnormal ends.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
      0x3F000000U;
  const uint32_t normal =
      (magnitude + 0xFFFU + (magnitude >> 13 & 1U) - 0x38000000U) >> 13;
  uint32_t result = magnitude < 0x38800000U ? subnormal : normal;
  result = magnitude >= 0x477FF000U ? 0x7C00U : result;  // rounds to 2^16
  result = magnitude > 0x7F800000U ? 0x7E00U : result;
  return static_cast<uint16_t>(result | sign);
}

inline float f32_from_bf16(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

// Rounds to nearest even.
inline uint16_t bf16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
  const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
  return static_cast<uint16_t>(is_nan ? bits >> 16 | 0x40U : rounded);
}

inline float f32_from(Half type, uint16_t half) {
  return type == Half::kF16 ? f32_from_f16(half) : f32_from_bf16(half);
}

inline uint16_t half_from_f32(Half type, float value) {
  return type == Half::kF16 ? f16_from_f32(value) : bf16_from_f32(value);
}

inline float rounded_to_half(Half type, float value) {
  return f32_from(type, half_from_f32(type, value));
}

}  // namespace tessera::npu
