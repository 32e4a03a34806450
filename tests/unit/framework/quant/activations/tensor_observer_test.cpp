// SPDX-License-Identifier: Apache-2.0
//
// Streamed figures of a tensor against two-pass formulas over all its values.

#include "framework/quant/activations/tensor_observer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

TensorObserver observe(std::span<const float> values) {
  TensorObserver observer;
  EXPECT_TRUE(observer.add(values).ok());
  return observer;
}

TEST(TensorObserver, MatchesTwoPassMoments) {
  std::vector<float> values = normal_values(5000);
  for (float& value : values) value = 3.0f * value + 1.0f;
  const TensorObserver seen = observe(values);
  double mean = 0.0;
  for (const float value : values) mean += value / 5000.0;
  double second = 0.0;
  double fourth = 0.0;
  for (const float value : values) {
    second += std::pow(value - mean, 2) / 5000.0;
    fourth += std::pow(value - mean, 4) / 5000.0;
  }
  // Raw moments lose a few bits of f64 to cancellation, no more.
  EXPECT_NEAR(seen.mean(), mean, 1e-12);
  EXPECT_NEAR(seen.standard_deviation(), std::sqrt(second), 1e-10);
  EXPECT_NEAR(seen.kurtosis(), fourth / second / second, 1e-10);
  EXPECT_EQ(seen.min(), *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(seen.max(), *std::max_element(values.begin(), values.end()));
}

TEST(TensorObserver, OrderAndBatchesChangeNoBin) {
  std::vector<float> values = normal_values(3000);
  values[17] = 900.0f;
  values[2000] = 0.0f;
  values[5] = 0x1p-140f;
  const TensorObserver whole = observe(values);
  std::sort(values.begin(), values.end(),
            [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  TensorObserver pieces;
  for (const float value : values) {
    ASSERT_TRUE(pieces.add(std::span(&value, 1)).ok());
  }
  EXPECT_EQ(whole.histogram().width(), pieces.histogram().width());
  for (uint32_t bin = 0; bin < Histogram::kBins; ++bin) {
    ASSERT_EQ(whole.histogram().count(bin), pieces.histogram().count(bin))
        << bin;
  }
}

TEST(TensorObserver, QuantilesAreWithinOneBin) {
  std::vector<float> values = normal_values(10000);
  const TensorObserver seen = observe(values);
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  for (const double q : {0.001, 0.25, 0.5, 0.75, 0.999}) {
    const auto index = static_cast<size_t>(q * 10000.0);
    EXPECT_NEAR(
        seen.histogram().quantile(q), sorted[index],
        seen.histogram().width() + sorted[index + 1] - sorted[index - 1])
        << q;
  }
  for (float& value : sorted) value = std::fabs(value);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_NEAR(seen.histogram().quantile_of_magnitude(0.9), sorted[9000],
              seen.histogram().width() + sorted[9001] - sorted[8999]);
  EXPECT_LE(seen.histogram().width(), double{seen.abs_max()} / 2048.0);
}

TEST(TensorObserver, TakesZerosAlone) {
  const std::vector<float> zeros(5, 0.0f);
  const TensorObserver seen = observe(zeros);
  EXPECT_EQ(seen.count(), 5U);
  EXPECT_EQ(seen.abs_max(), 0.0f);
  EXPECT_EQ(seen.kurtosis(), 0.0);
}

TEST(TensorObserver, NamesTheElementThatIsNotFinite) {
  TensorObserver observer = observe(std::vector<float>{1.0f, 2.0f});
  const std::vector<float> bad = {1.0f, std::numeric_limits<float>::infinity()};
  EXPECT_EQ(observer.add(bad).message(), "activation 3 is infinite");
  EXPECT_EQ(observer.count(), 2U);
}

}  // namespace
}  // namespace tessera::quant
