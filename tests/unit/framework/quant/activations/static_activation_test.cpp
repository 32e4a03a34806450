// SPDX-License-Identifier: Apache-2.0
//
// Static scales: the definitions, and what each rule promises about error.

#include "framework/quant/activations/static_activation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "framework/format/element.hpp"
#include "framework/quant/activations/head_observer.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

// Normal values with a few far outliers, as the inputs of down_proj are.
std::vector<float> heavy_tailed(float outlier) {
  std::vector<float> values = normal_values(20000);
  values[100] = outlier;
  values[9000] = -0.7f * outlier;
  return values;
}

// Mean squared error of the codes that numerics.md section 1 defines.
double rounding_error(std::span<const float> values,
                      const StaticActivation& activation) {
  double sum = 0.0;
  for (const float x : values) {
    const float product = x * activation.inv;
    const int32_t code = std::clamp(
        static_cast<int32_t>(std::nearbyint(product)) + activation.zero_point,
        activation.lo, activation.hi);
    const double back =
        double{activation.scale} * (code - activation.zero_point);
    sum += (x - back) * (x - back);
  }
  return sum / static_cast<double>(values.size());
}

StaticActivation choose(std::span<const float> values, RangeRule rule,
                        ActivationCodes codes) {
  TensorObserver seen;
  EXPECT_TRUE(seen.add(values).ok());
  RangeOptions options;
  options.rule = rule;
  options.codes = codes;
  const auto chosen = choose_static_activation(seen, options);
  EXPECT_TRUE(chosen.ok());
  return *chosen;
}

TEST(StaticActivation, SymmetricIsAmaxOver127) {
  const StaticActivation a =
      static_activation(ActivationCodes::kSymmetricS8, -2.0f, 6.35f);
  EXPECT_EQ(a.scale, 6.35f / 127.0f);
  EXPECT_EQ(a.inv, 1.0f / a.scale);
  EXPECT_EQ(a.zero_point, 0);
  EXPECT_EQ(a.lo, -128);
  EXPECT_EQ(a.hi, 127);
}

TEST(StaticActivation, AsymmetricUsesAll256Codes) {
  const StaticActivation u8 =
      static_activation(ActivationCodes::kAsymmetricU8, -1.0f, 4.1f);
  EXPECT_FLOAT_EQ(u8.scale, 0.02f);
  EXPECT_EQ(u8.zero_point, 50);
  EXPECT_EQ(u8.lo, 0);
  EXPECT_EQ(u8.hi, 255);
  const StaticActivation s8 =
      static_activation(ActivationCodes::kAsymmetricS8, -1.0f, 4.1f);
  EXPECT_EQ(s8.scale, u8.scale);
  EXPECT_EQ(s8.zero_point, 50 - 128);
}

TEST(StaticActivation, RangeAlwaysHoldsZero) {
  const StaticActivation above =
      static_activation(ActivationCodes::kAsymmetricU8, 1.0f, 2.55f);
  EXPECT_EQ(above.zero_point, 0);
  EXPECT_FLOAT_EQ(above.scale, 0.01f);
  const StaticActivation below =
      static_activation(ActivationCodes::kAsymmetricU8, -2.55f, -1.0f);
  EXPECT_EQ(below.zero_point, 255);
}

TEST(StaticActivation, EmptyRangeRoundsToZero) {
  for (const auto codes :
       {ActivationCodes::kSymmetricS8, ActivationCodes::kAsymmetricU8}) {
    const StaticActivation a = static_activation(codes, 0.0f, 0x1p-101f);
    EXPECT_EQ(a.scale, 1.0f);
    EXPECT_EQ(a.inv, 1.0f);
    EXPECT_EQ(a.zero_point, 0);
  }
}

TEST(StaticActivation, HistogramErrorIsThatOfTheValues) {
  const std::vector<float> values = heavy_tailed(30.0f);
  TensorObserver seen;
  ASSERT_TRUE(seen.add(values).ok());
  const StaticActivation a =
      static_activation(ActivationCodes::kSymmetricS8, -10.0f, 10.0f);
  // A bin is at most 1 / 5 of the step here; the error of values at its centre
  // differs by less than a tenth.
  EXPECT_NEAR(static_error(seen.histogram(), a) / rounding_error(values, a),
              1.0, 0.1);
}

class Rules : public testing::TestWithParam<ActivationCodes> {};

TEST_P(Rules, MinMaxClipsNothing) {
  const std::vector<float> values = heavy_tailed(30.0f);
  const StaticActivation a = choose(values, RangeRule::kMinMax, GetParam());
  for (const float x : values) {
    const float code =
        std::nearbyint(x * a.inv) + static_cast<float>(a.zero_point);
    EXPECT_GE(code, static_cast<float>(a.lo) - 1.0f);
    EXPECT_LE(code, static_cast<float>(a.hi) + 1.0f);
  }
}

TEST_P(Rules, MseIsNearTheBestOfAFineGrid) {
  const std::vector<float> values = heavy_tailed(30.0f);
  const StaticActivation a = choose(values, RangeRule::kMse, GetParam());
  double best = std::numeric_limits<double>::infinity();
  for (int low = 1; low <= 25; ++low) {
    for (int high = 1; high <= 25; ++high) {
      best = std::min(
          best,
          rounding_error(
              values, static_activation(
                          GetParam(), -21.0f * static_cast<float>(low) / 25.0f,
                          30.0f * static_cast<float>(high) / 25.0f)));
    }
  }
  // The searches' grids are 1/25 and 1/100 of the range, bins add a
  // tenth.
  EXPECT_LT(rounding_error(values, a), 1.15 * best);
}

TEST_P(Rules, SearchesAreNeverWorseThanMinMax) {
  const std::vector<float> values = heavy_tailed(30.0f);
  const double whole =
      rounding_error(values, choose(values, RangeRule::kMinMax, GetParam()));
  for (const auto rule : {RangeRule::kMse, RangeRule::kHistogram}) {
    EXPECT_LE(rounding_error(values, choose(values, rule, GetParam())), whole);
  }
}

TEST_P(Rules, KeepTheWholeRangeOfUniformValues) {
  std::vector<float> values(20001);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = (static_cast<float>(i) - 10000.0f) / 10000.0f;
  }
  const float whole = choose(values, RangeRule::kMinMax, GetParam()).scale;
  for (const auto rule : {RangeRule::kMse, RangeRule::kHistogram,
                          RangeRule::kEntropy, RangeRule::kPercentile}) {
    EXPECT_NEAR(choose(values, rule, GetParam()).scale / whole, 1.0, 0.03);
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, Rules,
                         testing::Values(ActivationCodes::kSymmetricS8,
                                         ActivationCodes::kAsymmetricS8,
                                         ActivationCodes::kAsymmetricU8));

TEST(StaticActivation, PercentileKeepsThatShare) {
  const std::vector<float> values = heavy_tailed(30.0f);
  TensorObserver seen;
  ASSERT_TRUE(seen.add(values).ok());
  RangeOptions options;
  options.rule = RangeRule::kPercentile;
  options.percentile = 0.99;
  const auto chosen = choose_static_activation(seen, options);
  ASSERT_TRUE(chosen.ok());
  const double limit = 127.0 * double{chosen->scale};
  const auto inside = std::count_if(values.begin(), values.end(), [&](float x) {
    return std::fabs(x) <= limit;
  });
  // Within the values of one bin: 20,000 * width * density 0.04 at 2.6 sigma.
  EXPECT_NEAR(static_cast<double>(inside), 19800.0, 10.0);
}

TEST(StaticActivation, EntropyClipsFarOutliers) {
  const std::vector<float> values = heavy_tailed(400.0f);
  const float whole =
      choose(values, RangeRule::kMinMax, ActivationCodes::kSymmetricS8).scale;
  const float clipped =
      choose(values, RangeRule::kEntropy, ActivationCodes::kSymmetricS8).scale;
  EXPECT_LT(clipped, 0.2f * whole);
}

TEST(StaticActivation, EmptyCalibrationIsAClearError) {
  const auto chosen = choose_static_activation(TensorObserver(), {});
  EXPECT_EQ(chosen.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_EQ(chosen.status().message(),
            "no static scale: the calibration set gave no activations");
}

TEST(StaticActivation, NamesTheObserversThereAre) {
  EXPECT_EQ(*find_range_rule("entropy"), RangeRule::kEntropy);
  EXPECT_EQ(find_range_rule("max").status().message(),
            "observer \"max\" is none of minmax, percentile, mse, histogram, "
            "entropy");
}

TEST(StaticActivation, PlanesHoldTheConstants) {
  format::WeightData weight;
  StaticActivation a =
      static_activation(ActivationCodes::kAsymmetricU8, -1.0f, 4.1f);
  add_static_activation(a, &weight);
  const auto value = [&](uint32_t role) {
    const format::Plane* plane = weight.find(role);
    return format::element_value(plane->dtype, plane->row(0), 0);
  };
  EXPECT_EQ(value(TSR_PLANE_ACT_SCALE), double{a.scale});
  EXPECT_EQ(value(TSR_PLANE_ACT_INV), double{a.inv});
  EXPECT_EQ(value(TSR_PLANE_ACT_ZERO_POINT), 50.0);
}

TEST(HeadObserver, ScalesAreTheAbsmaxOfTheShortestWindow) {
  auto observer = HeadObserver::create(2, 2, 0.75);
  ASSERT_TRUE(observer.ok());
  // Head 0: 9 is outside the shortest window of 3 of 4 values; head 1: all of
  // -5 .. -1, so the window is -3 .. -1 or -5 .. -3 (the first of equal ones).
  const std::vector<float> batch = {1.0f, 2.0f, -1.0f, -3.0f,
                                    9.0f, 3.0f, -5.0f, -5.0f};
  ASSERT_TRUE(observer->add(batch).ok());
  const auto scales = observer->scales();
  ASSERT_TRUE(scales.ok());
  EXPECT_EQ((*scales)[0], 3.0f / 127.0f);
  EXPECT_EQ((*scales)[1], 5.0f / 127.0f);
}

TEST(HeadObserver, UnitesTheRangesOfBatches) {
  auto observer = HeadObserver::create(1, 1, 1.0);
  ASSERT_TRUE(observer.ok());
  EXPECT_EQ(observer->scales().status().code(), TSR_FAILED_PRECONDITION);
  for (const float value : {1.0f, -8.0f, 2.0f}) {
    ASSERT_TRUE(observer->add(std::span(&value, 1)).ok());
  }
  EXPECT_EQ((*observer->scales())[0], 8.0f / 127.0f);
}

TEST(HeadObserver, RefusesNanAndBadShapes) {
  auto observer = HeadObserver::create(2, 2);
  ASSERT_TRUE(observer.ok());
  std::vector<float> batch(8, 1.0f);
  batch[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(observer->add(batch).message(), "token 1: head 1 is not finite");
  EXPECT_FALSE(observer->add(std::span<const float>(batch).first(3)).ok());
  EXPECT_FALSE(HeadObserver::create(0, 2).ok());
  EXPECT_FALSE(HeadObserver::create(2, 2, 0.0).ok());
}

TEST(ChannelScales, AreThoseOfEachColumn) {
  auto statistics = InputStatistics::create(2, false);
  ASSERT_TRUE(statistics.ok());
  const std::vector<float> rows = {1.0f, 0.0f, -12.7f, 5.1f};
  EXPECT_FALSE(choose_channel_scales(statistics->columns(), true).ok());
  ASSERT_TRUE(statistics->add(rows, run_serially()).ok());
  const auto symmetric = choose_channel_scales(statistics->columns(), true);
  ASSERT_TRUE(symmetric.ok());
  EXPECT_FLOAT_EQ(symmetric->scale[0], 0.1f);
  EXPECT_EQ(symmetric->zero_point, (std::vector<int32_t>{0, 0}));
  const auto asymmetric = choose_channel_scales(statistics->columns(), false);
  ASSERT_TRUE(asymmetric.ok());
  EXPECT_FLOAT_EQ(asymmetric->scale[1], 0.02f);
  EXPECT_EQ(asymmetric->zero_point[1], -128);
}

}  // namespace
}  // namespace tessera::quant
