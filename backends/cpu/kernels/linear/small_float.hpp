// SPDX-License-Identifier: Apache-2.0
//
// Floats of 8 and 4 bits as f32, exactly, in integer arithmetic.

#pragma once

#include <stdint.h>

#include "tessera/portable_math.h"

namespace tessera::cpu {

// A magnitude of `mantissa_bits` below the exponent field, whose value is
// field * 2^-mantissa_bits as if it were an f32's, times 2^(127 - bias).
// Subnormals come out right because the product with a power of two is exact.
[[maybe_unused]] static float small_magnitude(uint32_t magnitude,
                                              uint32_t mantissa_bits,
                                              float scale) {
  return tsr_from_bits_f32(magnitude << (23 - mantissa_bits)) * scale;
}

[[maybe_unused]] static float with_sign(float magnitude, bool negative) {
  return negative ? -magnitude : magnitude;
}

// OCP OFP8 e4m3fn: bias 7, no infinity, NaN 0x7f and 0xff.
[[maybe_unused]] static float f32_from_f8e4m3(uint32_t code) {
  if ((code & 0x7fu) == 0x7fu) return tsr_from_bits_f32(0x7fc00000u);
  return with_sign(small_magnitude(code & 0x7fu, 3, 0x1p120f), code >= 0x80u);
}

// OCP OFP8 e5m2: bias 15, infinity 0x7c.
[[maybe_unused]] static float f32_from_f8e5m2(uint32_t code) {
  const uint32_t magnitude = code & 0x7fu;
  if (magnitude > 0x7cu) return tsr_from_bits_f32(0x7fc00000u);
  const float value = magnitude == 0x7cu
                          ? tsr_from_bits_f32(0x7f800000u)
                          : small_magnitude(magnitude, 2, 0x1p112f);
  return with_sign(value, code >= 0x80u);
}

// e2m1 of the low four bits: bias 1.
[[maybe_unused]] static float f32_from_f4e2m1(uint32_t code) {
  return with_sign(small_magnitude(code & 7u, 1, 0x1p126f), (code & 8u) != 0);
}

// 2^(code - 127); 0 stands for the subnormal 2^-127, 255 for NaN.
[[maybe_unused]] static float f32_from_e8m0(uint32_t code) {
  if (code == 255) return tsr_from_bits_f32(0x7fc00000u);
  return tsr_from_bits_f32(code == 0 ? 0x00400000u : code << 23);
}

}  // namespace tessera::cpu
