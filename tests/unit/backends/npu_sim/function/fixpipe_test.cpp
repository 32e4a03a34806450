// SPDX-License-Identifier: Apache-2.0
//
// The fixed pipe against its definition in double precision, where every step
// is exact until it is rounded by hand.  Source: the vendor's description of
// QUANT_PRE, as npu.md section 1.7 quotes it.

#include "backends/npu_sim/function/fixpipe.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "backends/npu_sim/function/half.hpp"
#include "framework/conformance/reference/linear/fixed_pipe.hpp"

namespace tessera::npu {
namespace {

// Rounds an exact value to an integer, ties to even.
int64_t nearest_even(double value) {
  const double floor = std::floor(value);
  const double rest = value - floor;
  const auto low = static_cast<int64_t>(floor);
  if (rest == 0.5) return low % 2 == 0 ? low : low + 1;
  return rest < 0.5 ? low : low + 1;
}

// The product that leaves the multiplier: both factors are f32, so it is exact
// in double, and rounds once.
float product_of(double x, const FixpipeScale& scale) {
  const double factor = x >= 0 ? scale.positive : scale.negative;
  return static_cast<float>(x * factor);
}

double shifted(int64_t x, const FixpipeScale& scale, double limit_low,
               double limit_high) {
  if (!scale.shifts) return static_cast<float>(x);
  const double floor =
      std::floor(std::ldexp(static_cast<double>(x), -int(scale.shift)));
  return std::clamp(floor, limit_low, limit_high);
}

int32_t expected_code(float product, const FixpipeScale& scale) {
  const int64_t code =
      nearest_even(std::clamp<double>(product, -256, 255)) + scale.offset;
  return static_cast<int32_t>(scale.is_signed
                                  ? std::clamp<int64_t>(code, -128, 127)
                                  : std::clamp<int64_t>(code, 0, 255));
}

FixpipeScale random_scale(std::mt19937& rng) {
  FixpipeScale scale;
  std::uniform_real_distribution<float> exponent(-20.0f, 2.0f);
  scale.positive = std::exp2(exponent(rng));
  if (rng() % 4 == 0) scale.positive = 0.5f;  // ties
  scale.negative = rng() % 4 == 0 ? 0.0f : scale.positive;
  scale.shift = rng() % 16;
  scale.shifts = rng() % 2 == 0;
  scale.offset = static_cast<int32_t>(rng() % 512) - 256;
  scale.is_signed = rng() % 2 == 0;
  return scale;
}

int32_t random_accumulator(std::mt19937& rng) {
  const auto bits = static_cast<int32_t>(rng());
  return bits >> (rng() % 32);
}

TEST(Fixpipe, KeepsNineteenBitsOfAScaleInHardwareAndAllOfThemInReference) {
  std::mt19937 rng(42);
  for (int i = 0; i < 100000; ++i) {
    const FixpipeScale scale = random_scale(rng);
    const float kept = fixpipe_scale(scale.positive, Numerics::kHw);
    ASSERT_LE(kept, scale.positive);
    ASSERT_GT(kept, scale.positive * (1.0 - 0x1p-10));
    // 11 significant bits are what is left.
    int exponent = 0;
    const double fraction = std::frexp(kept, &exponent);
    ASSERT_EQ(fraction * 2048, std::floor(fraction * 2048));
    ASSERT_EQ(fixpipe_scale(scale.positive, Numerics::kRef), scale.positive);
  }
  EXPECT_EQ(fixpipe_scale(-1.9999999f, Numerics::kHw), -1.9990234375f);
}

TEST(Fixpipe, ReadsTheFieldsOfItsWord) {
  // M1 = 1 + 2^-10 + 2^-23, N = 5, MCB, offset = -3, signed.
  const uint64_t word = 0x3F802001U | uint64_t{5} << 32 | uint64_t{1} << 36 |
                        uint64_t{0x1FD} << 37 | uint64_t{1} << 46;
  const FixpipeScale hardware = read_fixpipe_word(word, Numerics::kHw);
  EXPECT_EQ(hardware.positive, 1.0f + 0x1p-10f);
  EXPECT_EQ(hardware.negative, hardware.positive);
  EXPECT_EQ(hardware.shift, 5U);
  EXPECT_TRUE(hardware.shifts);
  EXPECT_EQ(hardware.offset, -3);
  EXPECT_TRUE(hardware.is_signed);
  const FixpipeScale reference = read_fixpipe_word(word, Numerics::kRef);
  EXPECT_EQ(reference.positive, 1.0f + 0x1p-10f + 0x1p-23f);
  EXPECT_EQ(make_fixpipe_word(reference), word);
  // msModelSlim's deq_scale for f16 models: the bits of an f32, zeros above.
  EXPECT_EQ(read_fixpipe_word(0x3F000000U, Numerics::kHw).positive, 0.5f);
  EXPECT_FALSE(read_fixpipe_word(0x3F000000U, Numerics::kHw).shifts);
  EXPECT_EQ(read_fixpipe_word(0x3F000000U, Numerics::kHw).offset, 0);
}

TEST(Fixpipe, RequantizesLikeItsDefinition) {
  std::mt19937 rng(42);
  for (int i = 0; i < 400000; ++i) {
    const FixpipeScale scale = random_scale(rng);
    const int32_t x = random_accumulator(rng);
    const double front = shifted(x, scale, -32768, 32767);
    ASSERT_EQ(req8(x, scale), expected_code(product_of(front, scale), scale))
        << "x=" << x << " M1=" << scale.positive << " N=" << scale.shift;
  }
}

TEST(Fixpipe, DequantizesLikeItsDefinition) {
  std::mt19937 rng(42);
  for (int i = 0; i < 400000; ++i) {
    const FixpipeScale scale = random_scale(rng);
    const int32_t x = random_accumulator(rng);
    const double front = shifted(x, scale, -65504, 65504);
    const double product =
        std::clamp<double>(product_of(front, scale), -65504, 65504);
    const double result = f32_from_f16(deqf16(x, scale));
    // The nearest f16: half a step off at most, with an even code on a tie.
    const double magnitude = std::fabs(product);
    const int exponent =
        magnitude < 0x1p-14 ? -14 : static_cast<int>(std::ilogb(magnitude));
    const double step = std::ldexp(1.0, exponent - 10);
    ASSERT_LE(std::fabs(result - product), step / 2) << product;
    if (std::fabs(result - product) == step / 2) {
      ASSERT_EQ(deqf16(x, scale) % 2, 0) << product;
    }
  }
}

TEST(Fixpipe, RequantizesFloatsLikeItsDefinition) {
  std::mt19937 rng(42);
  std::normal_distribution<float> normal(0.0f, 200.0f);
  for (int i = 0; i < 400000; ++i) {
    const FixpipeScale scale = random_scale(rng);
    const float x = i % 3 == 0 ? std::round(normal(rng)) + 0.5f : normal(rng);
    double front = x;
    if (scale.shifts) {
      front = std::clamp(std::ldexp(double{x}, -int(scale.shift)), -32768.0,
                         32767.0);
    }
    ASSERT_EQ(qf322b8(x, scale), expected_code(product_of(front, scale), scale))
        << "x=" << x << " M1=" << scale.positive << " N=" << scale.shift;
  }
  EXPECT_EQ(qf322b8(std::nanf(""), {.offset = 7}), 7);
  EXPECT_EQ(qf322b8(INFINITY, {}), 127);
}

// The traps that the published generators leave open.
TEST(Fixpipe, RoundsTiesToEvenAndLargeAccumulatorsBeforeScaling) {
  const FixpipeScale half{.positive = 0.5f, .negative = 0.5f};
  EXPECT_EQ(req8(1, half), 0);
  EXPECT_EQ(req8(3, half), 2);
  EXPECT_EQ(req8(5, half), 2);
  EXPECT_EQ(req8(-1, half), 0);
  EXPECT_EQ(req8(-3, half), -2);
  // 2^24 + 1 is not an f32: it becomes 2^24 first.
  const FixpipeScale tiny{.positive = 0x1p-24f, .negative = 0x1p-24f};
  EXPECT_EQ(req8((1 << 24) + 1, tiny), 1);
  // Straight to f16, not by way of an integer.
  const FixpipeScale third{.positive = 0.25f, .negative = 0.25f};
  EXPECT_EQ(f32_from_f16(deqf16(1, third)), 0.25f);
  EXPECT_EQ(f32_from_f16(deqf16(INT32_MAX, {})), 65504.0f);
  EXPECT_EQ(f32_from_f16(deqf16(INT32_MIN, {})), -65504.0f);
  // An arithmetic shift rounds down.
  FixpipeScale shift;
  shift.shift = 1;
  shift.shifts = true;
  EXPECT_EQ(req8(-3, shift), -2);
  EXPECT_EQ(req8(3, shift), 1);
  // The clamp comes before the offset, the 9-bit offset is signed.
  EXPECT_EQ(req8(1000, {.offset = -256}), -1);
  EXPECT_EQ(req8(-1000, {.offset = 255, .is_signed = false}), 0);
}

// Two programs of one definition: the device's masks bits, the oracle's scales
// by powers of two.
TEST(Fixpipe, AccumulatorsLeaveAsTheOraclesDo) {
  std::mt19937 rng(42);
  std::uniform_real_distribution<float> exponent(-40.0f, 4.0f);
  for (int i = 0; i < 100000; ++i) {
    const auto sum = static_cast<int32_t>(rng() >> (1 + rng() % 31)) *
                     (rng() % 2 == 0 ? 1 : -1);
    const float scale = std::exp2(exponent(rng));
    FixpipeScale word;
    word.positive = fixpipe_scale(scale, Numerics::kHw);
    word.negative = word.positive;
    ASSERT_EQ(reference::cut_scale(scale), word.positive) << scale;
    ASSERT_EQ(reference::deqf16(sum, scale), f32_from_f16(deqf16(sum, word)))
        << sum << " times " << scale << " seed 42";
  }
}

}  // namespace
}  // namespace tessera::npu
