// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction: every line rounds once.

#include "backends/npu_sim/function/fixpipe.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "backends/npu_sim/function/half.hpp"

namespace tessera::npu {
namespace {

constexpr uint32_t kScaleBits = 0xFFFFE000U;
constexpr float kMaxF16 = 65504.0f;

// Shifts an accumulator as MCB says; the result saturates to `limit`.
float shifted(int32_t x, const FixpipeScale& scale, int32_t low, int32_t high) {
  if (!scale.shifts) return static_cast<float>(x);
  return static_cast<float>(std::clamp(x >> scale.shift, low, high));
}

float scaled(float x, const FixpipeScale& scale) {
  return x * (x >= 0.0f ? scale.positive : scale.negative);
}

int32_t to_code(float x, const FixpipeScale& scale) {
  const float value = std::isnan(x) ? 0.0f : std::clamp(x, -256.0f, 255.0f);
  const auto code = static_cast<int32_t>(std::nearbyint(value)) + scale.offset;
  return scale.is_signed ? std::clamp(code, -128, 127)
                         : std::clamp(code, 0, 255);
}

}  // namespace

float fixpipe_scale(float scale, Numerics numerics) {
  if (numerics == Numerics::kRef) return scale;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & kScaleBits);
}

FixpipeScale read_fixpipe_word(uint64_t word, Numerics numerics) {
  FixpipeScale scale;
  scale.positive = fixpipe_scale(
      std::bit_cast<float>(static_cast<uint32_t>(word)), numerics);
  scale.negative = scale.positive;
  scale.shift = static_cast<uint32_t>(word >> 32) & 0xF;
  scale.shifts = (word >> 36 & 1) != 0;
  const auto offset = static_cast<int32_t>(word >> 37 & 0x1FF);
  scale.offset = offset >= 256 ? offset - 512 : offset;
  scale.is_signed = (word >> 46 & 1) != 0;
  return scale;
}

uint64_t make_fixpipe_word(const FixpipeScale& scale) {
  return uint64_t{std::bit_cast<uint32_t>(scale.positive)} |
         uint64_t{scale.shift & 0xF} << 32 | uint64_t{scale.shifts} << 36 |
         uint64_t{static_cast<uint32_t>(scale.offset) & 0x1FF} << 37 |
         uint64_t{scale.is_signed} << 46;
}

int32_t req8(int32_t x, const FixpipeScale& scale) {
  return to_code(scaled(shifted(x, scale, INT16_MIN, INT16_MAX), scale), scale);
}

uint16_t deqf16(int32_t x, const FixpipeScale& scale) {
  const float value = scaled(shifted(x, scale, -65504, 65504), scale);
  return f16_from_f32(std::isnan(value) ? value
                                        : std::clamp(value, -kMaxF16, kMaxF16));
}

uint16_t deqbf16(int32_t x, const FixpipeScale& scale) {
  return bf16_from_f32(scaled(static_cast<float>(x), scale));
}

int32_t qf322b8(float x, const FixpipeScale& scale) {
  float value = x;
  if (scale.shifts) {
    value = std::clamp(std::ldexp(x, -static_cast<int>(scale.shift)), -32768.0f,
                       32767.0f);
  }
  return to_code(scaled(value, scale), scale);
}

}  // namespace tessera::npu
