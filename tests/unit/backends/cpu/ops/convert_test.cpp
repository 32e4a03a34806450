// SPDX-License-Identifier: Apache-2.0
//
// f16 and bf16 conversion: exhaustive one way, all rounding cases the other.

#include "backends/cpu/kernels/ops/convert.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace tessera::cpu {
namespace {

// The value of an f16, from the definition of IEEE binary16.
double f16_value(uint32_t half) {
  const double sign = (half & 0x8000u) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>((half >> 10) & 31u);
  const double mantissa = half & 0x3ffu;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024.0 + mantissa, exponent - 25);
}

TEST(Convert, WidensEveryF16) {
  for (uint32_t half = 0; half < 65536; ++half) {
    const float wide = f32_from_f16(static_cast<uint16_t>(half));
    if ((half & 0x7c00u) != 0x7c00u) {
      ASSERT_EQ(wide, f16_value(half)) << half;
      ASSERT_EQ(std::signbit(wide), (half & 0x8000u) != 0) << half;
    } else if ((half & 0x3ffu) != 0) {
      ASSERT_TRUE(std::isnan(wide)) << half;
    } else {
      ASSERT_TRUE(std::isinf(wide)) << half;
    }
  }
}

// Between two neighbours lie a quarter, the middle and three quarters; the
// middle goes to the even one.  65536 stands for the first value that is
// infinite.
TEST(Convert, RoundsToTheNearestF16AndTiesToEven) {
  for (uint32_t half = 0; half < 0x7c00u; ++half) {
    const double low = f16_value(half);
    const double high = half == 0x7bffu ? 65536.0 : f16_value(half + 1);
    const auto at = [&](double t) {
      return f16_from_f32(static_cast<float>(low + t * (high - low)));
    };
    ASSERT_EQ(at(0.0), half);
    ASSERT_EQ(at(0.25), half);
    ASSERT_EQ(at(0.5), half % 2 == 0 ? half : half + 1);
    ASSERT_EQ(at(0.75), half + 1);
    ASSERT_EQ(f16_from_f32(static_cast<float>(-low)), half | 0x8000u);
  }
  EXPECT_EQ(f16_from_f32(1e30f), 0x7c00u);
  EXPECT_EQ(f16_from_f32(1e-30f), 0u);
  EXPECT_TRUE(std::isnan(f32_from_f16(f16_from_f32(std::nanf("")))));
}

TEST(Convert, RoundsToTheNearestBf16AndTiesToEven) {
  for (uint32_t upper = 0; upper < 0x7f80u; ++upper) {
    const auto at = [&](uint32_t lower) {
      return bf16_from_f32(tsr_from_bits_f32((upper << 16) | lower));
    };
    ASSERT_EQ(at(0), upper);
    ASSERT_EQ(at(0x7fff), upper);
    ASSERT_EQ(at(0x8000), upper % 2 == 0 ? upper : upper + 1);
    ASSERT_EQ(at(0x8001), upper + 1);
    ASSERT_EQ(f32_from_bf16(static_cast<uint16_t>(upper)),
              tsr_from_bits_f32(upper << 16));
  }
  EXPECT_TRUE(
      std::isnan(f32_from_bf16(bf16_from_f32(tsr_from_bits_f32(0x7f800001u)))));
}

}  // namespace
}  // namespace tessera::cpu
