// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/linear/activation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/unit/framework/conformance/reference/planes.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {
namespace {

using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(DynamicCodes, AreTheRoundedQuotientsOfAmax) {
  const std::vector<float> x = {127.0f, -127.0f, 0.5f, 1.5f, -2.5f, 0.0f};
  std::vector<int32_t> codes(x.size());
  // amax * f32(1 / 127) is not 1: f32(1 / 127) is rounded.
  EXPECT_EQ(quantize_dynamic(x, 127, codes), 127.0f * (1.0f / 127.0f));
  EXPECT_THAT(codes, ElementsAre(127, -127, 0, 2, -2, 0));

  const std::vector<float> y = {-7.0f, 3.5f, 2.5f};
  codes.resize(3);
  EXPECT_EQ(quantize_dynamic(y, 7, codes), 7.0f * (1.0f / 7.0f));
  EXPECT_THAT(codes, ElementsAre(-7, 4, 2));
}

// Half a step, and what three roundings to f32 move a code of at most 127.
TEST(DynamicCodes, AreOffByHalfAStep) {
  std::mt19937 rng(42);
  const std::vector<float> x = normal_values(rng, 1000);
  std::vector<int32_t> codes(x.size());
  const double scale = quantize_dynamic(x, 127, codes);
  for (size_t k = 0; k < x.size(); ++k) {
    EXPECT_NEAR(codes[k] * scale, x[k], scale * (0.5 + 127 * 4 * 0x1p-24));
  }
}

TEST(DynamicCodes, VanishBelowTheSmallestAmax) {
  std::vector<int32_t> codes(2, 9);
  EXPECT_EQ(quantize_dynamic(std::vector<float>{0x1p-101f, 0.0f}, 127, codes),
            0.0f);
  EXPECT_THAT(codes, ElementsAre(0, 0));
  EXPECT_GT(quantize_dynamic(std::vector<float>{0x1p-100f, 0.0f}, 127, codes),
            0.0f);
  EXPECT_THAT(codes, ElementsAre(127, 0));
}

TEST(DynamicCodes, PassOnWhatIsNotFinite) {
  std::vector<int32_t> codes(2);
  std::vector<float> values(2);
  for (const float bad : {kNaN, kInfinity, -kInfinity}) {
    const std::vector<float> x = {1.0f, bad};
    EXPECT_TRUE(std::isnan(quantize_dynamic(x, 127, codes)));
    EXPECT_THAT(codes, ElementsAre(0, 0));
    EXPECT_TRUE(std::isnan(quantize_f8(x, values)));
  }
}

TEST(StaticCodes, SaturateAroundTheZeroPoint) {
  const std::vector<float> x = {0.0f, 0.25f, 0.75f, 100.0f, -100.0f, 3e38f};
  std::vector<int32_t> codes(x.size());
  // inv 2, zero point 10: codes 10, 10 (tie), 12 (tie), 127, -128, 127.
  EXPECT_EQ(quantize_static(x, {0.5f, 2.0f, 10}, -128, 127, codes), 0.5f);
  EXPECT_THAT(codes, ElementsAre(0, 0, 2, 117, -138, 117));
  EXPECT_EQ(quantize_static(x, {0.5f, 2.0f, 128}, 0, 255, codes), 0.5f);
  EXPECT_THAT(codes, ElementsAre(0, 0, 2, 127, -128, 127));
}

TEST(F8Codes, AreTheNearestOfTheScaledValues) {
  const std::vector<float> x = {448.0f, -26.0f, 17.0f, 1e-9f};
  std::vector<float> values(x.size());
  EXPECT_EQ(quantize_f8(x, values), 448.0f * (1.0f / 448.0f));
  EXPECT_THAT(values, ElementsAre(448.0f, -26.0f, 16.0f, 0.0f));
}

TEST(IntegerActivation, NeedsItsPlanes) {
  format::WeightData data{TSR_WEIGHT_F32, 1, 1, {}};
  data.planes = {make_plane<float>(TSR_PLANE_CODES, TSR_F32, 1, 1, {1.0f})};
  const auto bare = Weight::open(data);
  ASSERT_TRUE(bare.ok());
  EXPECT_TRUE(integer_activation(TSR_ACT_I8_DYNAMIC, *bare, true).ok());
  EXPECT_TRUE(integer_activation(TSR_ACT_I8_MIX, *bare, false).ok());
  EXPECT_FALSE(integer_activation(TSR_ACT_I8_MIX, *bare, true).ok());
  EXPECT_FALSE(integer_activation(TSR_ACT_U8_STATIC, *bare, true).ok());
  EXPECT_FALSE(integer_activation(TSR_ACT_FLOAT, *bare, true).ok());

  data.planes.push_back(
      make_plane<float>(TSR_PLANE_ACT_SCALE, TSR_F32, 1, 1, {0.5f}));
  data.planes.push_back(
      make_plane<float>(TSR_PLANE_ACT_INV, TSR_F32, 1, 1, {2.0f}));
  data.planes.push_back(
      make_plane<int32_t>(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 1, 1, {128}));
  const auto weight = Weight::open(data);
  ASSERT_TRUE(weight.ok());
  const auto rule = integer_activation(TSR_ACT_U8_STATIC, *weight, true);
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->max_integer(), 128);
  EXPECT_EQ(
      integer_activation(TSR_ACT_I8_STATIC, *weight, true).status().message(),
      "act_zero_point 128 is not a code");
}

}  // namespace
}  // namespace tessera::reference
