// SPDX-License-Identifier: Apache-2.0
//
// Floats of 8 and 4 bits, one value at a time, in plain arithmetic: the same
// bits on every machine.

#pragma once

#include <cstdint>

namespace tessera::format {

// Largest finite values.
inline constexpr float kF8E4M3Max = 448.0f;
inline constexpr float kF8E5M2Max = 57344.0f;
inline constexpr float kF4E2M1Max = 6.0f;

// Exact.  Source: OCP OFP8 revision 1.0 (e4m3fn, e5m2); OCP Microscaling
// Formats (MX) 1.0 (e2m1, e8m0).
float f8e4m3_to_f32(uint8_t code);
float f8e5m2_to_f32(uint8_t code);
float f4e2m1_to_f32(uint8_t code);  // of the low four bits
float e8m0_to_f32(uint8_t code);

// Round to nearest, ties to even; past the largest finite value (infinity
// too) it is that value.  NaN gives 0x7f; e2m1, which has none, gives 0.
uint8_t f32_to_f8e4m3(float value);
uint8_t f32_to_f8e5m2(float value);
uint8_t f32_to_f4e2m1(float value);

// The code of the largest power of two <= value: 0 below 2^-127, zero and
// negative values included; 254 for infinity; 255 for NaN.
uint8_t f32_to_e8m0(float value);

}  // namespace tessera::format
