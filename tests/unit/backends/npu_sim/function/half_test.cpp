// SPDX-License-Identifier: Apache-2.0
//
// Conversions of 16-bit floats against their definition in double, and of 8-bit
// ones against the framework's, over all codes and all midpoints between them.

#include "backends/npu_sim/function/half.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "backends/npu_sim/function/float8.hpp"
#include "framework/format/small_float.hpp"

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

TEST(Float8, DecodesAsTheFrameworkDoes) {
  for (uint32_t code = 0; code < 256; ++code) {
    const float ours = f32_from_f8(static_cast<uint8_t>(code));
    const float theirs = format::f8e4m3_to_f32(static_cast<uint8_t>(code));
    if (std::isnan(theirs)) {
      EXPECT_TRUE(std::isnan(ours)) << code;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(ours), std::bit_cast<uint32_t>(theirs))
          << code;
    }
  }
}

TEST(Float8, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t code = 0; code < 0x7E; ++code) {
    const auto low = static_cast<uint8_t>(code);
    const auto high = static_cast<uint8_t>(code + 1);
    const float middle = (f32_from_f8(low) + f32_from_f8(high)) / 2;
    const uint8_t even = code % 2 == 0 ? low : high;
    ASSERT_EQ(f8_from_f32(f32_from_f8(low)), low);
    ASSERT_EQ(f8_from_f32(middle), even) << code;
    ASSERT_EQ(f8_from_f32(std::nextafterf(middle, 0.0f)), low) << code;
    ASSERT_EQ(f8_from_f32(std::nextafterf(middle, 1e9f)), high) << code;
    ASSERT_EQ(f8_from_f32(-middle), even | 0x80) << code;
  }
  for (const float large : {448.0f, 464.0f, 1e30f, INFINITY}) {
    EXPECT_EQ(f8_from_f32(large), 0x7E) << large;
    EXPECT_EQ(f8_from_f32(-large), 0xFE) << large;
  }
}

}  // namespace
}  // namespace tessera::npu
