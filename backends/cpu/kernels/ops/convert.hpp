// SPDX-License-Identifier: Apache-2.0
//
// f16 and bf16 to and from f32, one value at a time, bit for bit as the vector
// instructions do it.  Functions are static: files built for different ISAs
// include them, and the linker must not mix those copies.

#pragma once

#include <stdint.h>

#include "tessera/portable_math.h"

namespace tessera::cpu {

[[maybe_unused]] static float f32_from_f16(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return tsr_from_bits_f32(tsr_bits_f32(value) | sign);
  }
  if (exponent == 31) {
    const uint32_t quiet = mantissa != 0 ? 0x400000u : 0u;
    return tsr_from_bits_f32(sign | 0x7f800000u | quiet | (mantissa << 13));
  }
  return tsr_from_bits_f32(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// Rounds to nearest even; overflow gives infinity.
[[maybe_unused]] static uint16_t f16_from_f32(float value) {
  const uint32_t bits = tsr_bits_f32(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) {  // 65520, halfway to 2^16
    return static_cast<uint16_t>(sign | 0x7c00u);
  }
  if (magnitude < 0x38800000u) {  // below 2^-14: the sum rounds at 2^-24
    const float sum = tsr_from_bits_f32(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (tsr_bits_f32(sum) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(
      sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

[[maybe_unused]] static float f32_from_bf16(uint16_t upper) {
  return tsr_from_bits_f32(static_cast<uint32_t>(upper) << 16);
}

// Rounds to nearest even.
[[maybe_unused]] static uint16_t bf16_from_f32(float value) {
  const uint32_t bits = tsr_bits_f32(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace tessera::cpu
