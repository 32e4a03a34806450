// SPDX-License-Identifier: Apache-2.0

#include "framework/format/small_float.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace tessera::format {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// One layout: its codes of finite magnitudes, in order, and its functions.
struct Layout {
  const char* name;
  int exponent_bits;
  int mantissa_bits;
  int bias;
  int num_magnitudes;  // finite ones
  float (*decode)(uint8_t);
  uint8_t (*encode)(float);

  uint8_t sign() const {
    return static_cast<uint8_t>(1 << (exponent_bits + mantissa_bits));
  }
  // The definition, written out: OCP OFP8, section 5, and OCP MX, section 5.3.
  double value(int magnitude) const {
    const int field = magnitude >> mantissa_bits;
    const double fraction =
        static_cast<double>(magnitude & ((1 << mantissa_bits) - 1)) /
        (1 << mantissa_bits);
    return field == 0 ? std::pow(2.0, 1 - bias) * fraction
                      : std::pow(2.0, field - bias) * (1.0 + fraction);
  }
};

const Layout kLayouts[] = {
    {"e4m3", 4, 3, 7, 127, f8e4m3_to_f32, f32_to_f8e4m3},
    {"e5m2", 5, 2, 15, 124, f8e5m2_to_f32, f32_to_f8e5m2},
    {"e2m1", 2, 1, 1, 8, f4e2m1_to_f32, f32_to_f4e2m1},
};

class SmallFloat : public testing::TestWithParam<Layout> {};

TEST_P(SmallFloat, EveryFiniteCodeIsItsDefinitionAndRoundTrips) {
  const Layout& layout = GetParam();
  for (int code = 0; code < layout.num_magnitudes; ++code) {
    const auto positive = static_cast<uint8_t>(code);
    const auto negative = static_cast<uint8_t>(code | layout.sign());
    EXPECT_EQ(layout.decode(positive), layout.value(code)) << code;
    EXPECT_EQ(layout.decode(negative), -layout.value(code)) << code;
    EXPECT_EQ(layout.encode(layout.decode(positive)), positive);
    EXPECT_EQ(layout.encode(layout.decode(negative)), negative);
  }
}

TEST_P(SmallFloat, RoundsToTheNearestAndTiesToTheEvenCode) {
  const Layout& layout = GetParam();
  for (int code = 0; code + 1 < layout.num_magnitudes; ++code) {
    const auto low = static_cast<float>(layout.value(code));
    const auto high = static_cast<float>(layout.value(code + 1));
    const float middle = (low + high) / 2.0f;  // exact
    EXPECT_EQ(layout.encode(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(layout.encode(std::nextafter(middle, 0.0f)), code);
    EXPECT_EQ(layout.encode(std::nextafter(middle, kInfinity)), code + 1);
    EXPECT_EQ(layout.encode(-std::nextafter(middle, kInfinity)),
              (code + 1) | layout.sign());
  }
}

TEST_P(SmallFloat, SaturatesAtTheLargestFiniteValue) {
  const Layout& layout = GetParam();
  const int last = layout.num_magnitudes - 1;
  const auto max = static_cast<float>(layout.value(last));
  for (const float value : {max * 1.01f, max * 2.0f, 3e38f, kInfinity}) {
    EXPECT_EQ(layout.encode(value), last) << value;
    EXPECT_EQ(layout.encode(-value), last | layout.sign()) << value;
  }
}

TEST_P(SmallFloat, NoOtherCodeIsNearer) {
  const Layout& layout = GetParam();
  std::mt19937 rng(42);
  const auto max = static_cast<float>(layout.value(layout.num_magnitudes - 1));
  std::uniform_real_distribution<float> exponent(-20.0f, 1.0f);
  for (int i = 0; i < 20000; ++i) {
    const float x = max * std::exp2(exponent(rng));
    const double error = std::fabs(double{layout.decode(layout.encode(x))} - x);
    for (int code = 0; code < layout.num_magnitudes; ++code) {
      ASSERT_LE(error, std::fabs(layout.value(code) - x)) << x;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmallFloat, testing::ValuesIn(kLayouts),
                         [](const auto& layout) {
                           return std::string(layout.param.name);
                         });

TEST(SmallFloatSpecials, NaNAndInfinityAreWhereOcpPutsThem) {
  for (const int code : {0x7f, 0xff}) {
    EXPECT_TRUE(std::isnan(f8e4m3_to_f32(static_cast<uint8_t>(code))));
  }
  for (const int code : {0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff}) {
    EXPECT_TRUE(std::isnan(f8e5m2_to_f32(static_cast<uint8_t>(code))));
  }
  EXPECT_EQ(f8e5m2_to_f32(0x7c), kInfinity);
  EXPECT_EQ(f8e5m2_to_f32(0xfc), -kInfinity);
  EXPECT_EQ(f32_to_f8e4m3(kNaN), 0x7f);
  EXPECT_EQ(f32_to_f8e5m2(kNaN), 0x7f);
  EXPECT_EQ(f32_to_f4e2m1(kNaN), 0);
}

TEST(E8M0, EveryCodeIsItsPowerOfTwoAndRoundTrips) {
  for (int code = 0; code < 255; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    EXPECT_EQ(e8m0_to_f32(byte), std::pow(2.0, code - 127)) << code;
    EXPECT_EQ(f32_to_e8m0(e8m0_to_f32(byte)), code);
  }
  EXPECT_TRUE(std::isnan(e8m0_to_f32(255)));
  EXPECT_EQ(f32_to_e8m0(kNaN), 255);
}

TEST(E8M0, TakesThePowerOfTwoAtOrBelow) {
  EXPECT_EQ(f32_to_e8m0(1.0f), 127);
  EXPECT_EQ(f32_to_e8m0(std::nextafter(2.0f, 0.0f)), 127);
  EXPECT_EQ(f32_to_e8m0(6.0f), 129);
  EXPECT_EQ(f32_to_e8m0(0.0f), 0);
  EXPECT_EQ(f32_to_e8m0(-1.0f), 0);
  EXPECT_EQ(f32_to_e8m0(1e-45f), 0);
  EXPECT_EQ(f32_to_e8m0(kInfinity), 254);
}

}  // namespace
}  // namespace tessera::format
