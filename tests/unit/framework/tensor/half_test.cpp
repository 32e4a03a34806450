// SPDX-License-Identifier: Apache-2.0
//
// The 16-bit floats against their definition: every one of them, every midpoint
// between two neighbours, and random floats.

#include "framework/tensor/half.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace tessera {
namespace {

struct HalfFormat {
  std::string name;
  int exponent_bits;
  int mantissa_bits;
  float (*to_f32)(uint16_t);
  uint16_t (*from_f32)(float);

  uint16_t infinity() const {
    return static_cast<uint16_t>(((1U << exponent_bits) - 1) << mantissa_bits);
  }
};

// What bits without a sign stand for (IEEE 754-2019, 3.4), infinity read as the
// number that would follow the largest one.  Exact: double holds them all.
double magnitude_of(const HalfFormat& format, uint32_t bits) {
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const auto exponent = static_cast<int>(bits >> format.mantissa_bits);
  const uint32_t fraction = bits & ((1U << format.mantissa_bits) - 1);
  const uint32_t one = exponent > 0 ? 1U << format.mantissa_bits : 0U;
  const int power = (exponent > 0 ? exponent : 1) - bias;
  return std::ldexp(fraction + one, power - format.mantissa_bits);
}

// The nearest number, ties to the even one, found by bisection over the
// magnitudes, which grow with their bits.
//
// Requires  value is not a NaN.
uint16_t nearest(const HalfFormat& format, float value) {
  const double target = std::fabs(static_cast<double>(value));
  uint32_t below = 0;
  uint32_t above = format.infinity();
  while (above - below > 1) {
    const uint32_t middle = (below + above) / 2;
    (magnitude_of(format, middle) <= target ? below : above) = middle;
  }
  const double to_below = target - magnitude_of(format, below);
  const double to_above = magnitude_of(format, above) - target;
  const bool up =
      to_above < to_below || (to_above == to_below && above % 2 == 0);
  return static_cast<uint16_t>((up ? above : below) |
                               (std::signbit(value) ? 0x8000U : 0U));
}

class Half : public testing::TestWithParam<HalfFormat> {
 protected:
  void expect_nearest(float value) const {
    const HalfFormat& format = GetParam();
    ASSERT_EQ(format.from_f32(value), nearest(format, value))
        << std::hexfloat << value;
    ASSERT_EQ(format.from_f32(-value), nearest(format, -value))
        << std::hexfloat << -value;
  }
};

TEST_P(Half, MeansWhatItsBitsSay) {
  const HalfFormat& format = GetParam();
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = format.to_f32(static_cast<uint16_t>(bits));
    const uint32_t magnitude = bits & 0x7fffU;
    ASSERT_EQ(std::signbit(value), bits > 0x7fff) << bits;
    if (magnitude > format.infinity()) {
      ASSERT_TRUE(std::isnan(value)) << bits;
    } else if (magnitude == format.infinity()) {
      ASSERT_TRUE(std::isinf(value)) << bits;
    } else {
      ASSERT_EQ(std::fabs(static_cast<double>(value)),
                magnitude_of(format, magnitude))
          << bits;
    }
  }
}

TEST_P(Half, ComesBackFromF32AsItWas) {
  const HalfFormat& format = GetParam();
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = format.to_f32(static_cast<uint16_t>(bits));
    const uint16_t back = format.from_f32(value);
    if (std::isnan(value)) {
      ASSERT_GT(back & 0x7fffU, format.infinity()) << bits;
      ASSERT_EQ(back & 0x8000U, bits & 0x8000U) << bits;
    } else {
      ASSERT_EQ(back, bits);
    }
  }
}

// The last midpoint lies between the largest number and infinity.
TEST_P(Half, RoundsTheMidpointsToEvenAndTheirNeighboursToTheNearest) {
  const HalfFormat& format = GetParam();
  for (uint32_t bits = 0; bits < format.infinity(); ++bits) {
    const double midpoint =
        (magnitude_of(format, bits) + magnitude_of(format, bits + 1)) / 2;
    const auto value = static_cast<float>(midpoint);
    ASSERT_EQ(static_cast<double>(value), midpoint);
    expect_nearest(value);
    expect_nearest(std::nextafter(value, 0.0f));
    expect_nearest(
        std::nextafter(value, std::numeric_limits<float>::infinity()));
    if (HasFatalFailure()) return;
  }
}

TEST_P(Half, RoundsRandomFloatsToTheNearest) {
  std::mt19937 rng(42);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(rng()));
    if (std::isnan(value)) continue;
    expect_nearest(value);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Half, TakesWhatIsTooLargeAsInfinity) {
  const HalfFormat& format = GetParam();
  for (const float value : {std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(format.from_f32(value), format.infinity());
    EXPECT_EQ(format.from_f32(-value), format.infinity() | 0x8000U);
  }
}

// Cutting off the low bits of such a NaN would leave the bits of infinity.
TEST_P(Half, KeepsANanWhosePayloadIsInTheLowBits) {
  const HalfFormat& format = GetParam();
  for (const uint32_t bits : {0x7f800001U, 0xff800001U}) {
    const uint16_t half = format.from_f32(std::bit_cast<float>(bits));
    EXPECT_GT(half & 0x7fffU, format.infinity());
    EXPECT_EQ(half >> 15, bits >> 31);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Tensor, Half,
    testing::Values(HalfFormat{"f16", 5, 10, f16_to_f32, f32_to_f16},
                    HalfFormat{"bf16", 8, 7, bf16_to_f32, f32_to_bf16}),
    [](const auto& format) { return format.param.name; });

}  // namespace
}  // namespace tessera
