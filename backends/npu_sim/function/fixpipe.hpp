// SPDX-License-Identifier: Apache-2.0
//
// The quantization that the fixed pipe applies to accumulators on their way
// out, bit for bit, and the same with a scale of full precision.

#pragma once

#include <cstdint>

namespace tessera::npu {

// kHw is what the chip does: a scale keeps the 19 upper bits of its f32 (sign,
// 8 of exponent, 10 of fraction), the rest is cut off.  kRef keeps all of it,
// so that results are those of numerics.md section 1.
enum class Numerics : uint8_t { kHw, kRef };

// What a quantization word and its relu word say.
struct FixpipeScale {
  float positive = 1.0f;  // M1
  float negative = 1.0f;  // M2; M1 without relu, 0 with it, else its slope
  uint32_t shift = 0;     // N, 0 .. 15
  bool shifts = false;    // MCB
  int32_t offset = 0;     // -256 .. 255
  bool is_signed = true;  // int8 results, else uint8
};

// The 64-bit word: M1 in bits 31:13 (kHw) or 31:0 (kRef), N in 35:32, MCB in
// 36, the offset in 45:37, two's complement, and the sign in 46.  M2 := M1.
FixpipeScale read_fixpipe_word(uint64_t word, Numerics numerics);
uint64_t make_fixpipe_word(const FixpipeScale& scale);

// What is left of a scale.
float fixpipe_scale(float scale, Numerics numerics);

// int32 -> int8 or uint8: shift, to f32, scale, clamp to -256 .. 255, round
// half to even, offset, clamp to the type.
int32_t req8(int32_t x, const FixpipeScale& scale);

// int32 -> f16 bits: shift, to f32, scale, saturate to +-65504, round half to
// even.  The offset has no part in it.
uint16_t deqf16(int32_t x, const FixpipeScale& scale);

// int32 -> bf16 bits: to f32, scale, round half to even.  No public description
// has this mode: assumed.
uint16_t deqbf16(int32_t x, const FixpipeScale& scale);

// f32 -> int8 or uint8: as req8, but a shift divides by 2^N.  NaN becomes the
// offset.
int32_t qf322b8(float x, const FixpipeScale& scale);

}  // namespace tessera::npu
