// SPDX-License-Identifier: Apache-2.0
//
// Conversions of 16-bit floats against their definition in double, over all
// codes and all midpoints between them.

#include "backends/npu_sim/function/half.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tessera::npu {
namespace {

// The value of finite f16 bits.
double f16_value(uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const int fraction = bits & 0x3FF;
  const double magnitude = exponent == 0
                               ? std::ldexp(fraction, -24)
                               : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(HalfF16, WidensEveryCode) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f32_from_f16(static_cast<uint16_t>(bits));
    if ((bits & 0x7FFF) > 0x7C00) {
      EXPECT_TRUE(std::isnan(value)) << bits;
    } else if ((bits & 0x7FFF) == 0x7C00) {
      EXPECT_TRUE(std::isinf(value)) << bits;
    } else {
      ASSERT_EQ(value, f16_value(static_cast<uint16_t>(bits))) << bits;
      ASSERT_EQ(std::signbit(value), bits >= 0x8000) << bits;
    }
  }
}

TEST(HalfF16, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits + 1 < 0x7C00; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    const auto middle =
        static_cast<float>((f16_value(low) + f16_value(high)) / 2);
    const uint16_t even = bits % 2 == 0 ? low : high;
    ASSERT_EQ(f16_from_f32(static_cast<float>(f16_value(low))), low);
    ASSERT_EQ(f16_from_f32(middle), even) << bits;
    ASSERT_EQ(f16_from_f32(std::nextafterf(middle, 0.0f)), low) << bits;
    ASSERT_EQ(f16_from_f32(std::nextafterf(middle, 1e9f)), high) << bits;
    ASSERT_EQ(f16_from_f32(-middle), even | 0x8000) << bits;
  }
}

TEST(HalfF16, TurnsWhatIsTooLargeIntoInfinity) {
  EXPECT_EQ(f16_from_f32(65504.0f), 0x7BFF);
  EXPECT_EQ(f16_from_f32(std::nextafterf(65520.0f, 0.0f)), 0x7BFF);
  EXPECT_EQ(f16_from_f32(65520.0f), 0x7C00);
  EXPECT_EQ(f16_from_f32(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(f16_from_f32(std::nanf("")) & 0x7C00, 0x7C00);
  EXPECT_NE(f16_from_f32(std::nanf("")) & 0x3FF, 0);
}

TEST(HalfBf16, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const float low = f32_from_bf16(static_cast<uint16_t>(bits));
    const float middle = std::bit_cast<float>(bits << 16 | 0x8000U);
    ASSERT_EQ(bf16_from_f32(low), bits);
    ASSERT_EQ(bf16_from_f32(middle), bits + bits % 2) << bits;
    ASSERT_EQ(bf16_from_f32(std::nextafterf(middle, 0.0f)), bits) << bits;
    ASSERT_EQ(bf16_from_f32(-std::nextafterf(middle, INFINITY)),
              (bits + 1) | 0x8000U)
        << bits;
  }
  EXPECT_TRUE(std::isnan(f32_from_bf16(bf16_from_f32(std::nanf("")))));
}

}  // namespace
}  // namespace tessera::npu
