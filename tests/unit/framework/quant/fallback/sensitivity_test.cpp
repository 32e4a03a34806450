// SPDX-License-Identifier: Apache-2.0
//
// Sensitivity metrics and error figures against their definitions.

#include "framework/quant/fallback/sensitivity.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "framework/quant/weights/weight_error.hpp"
#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

TEST(Sensitivity, FollowsTheDefinitions) {
  // 100 values -1 and 100 values 1, and one of 11.
  std::vector<float> values(201, 1.0f);
  for (size_t i = 0; i < 100; ++i) values[i] = -1.0f;
  values[200] = 11.0f;
  TensorObserver input;
  ASSERT_TRUE(input.add(values).ok());
  const double mean = 11.0 / 201.0;
  const double variance = (200.0 + 121.0) / 201.0 - mean * mean;
  const double fourth =
      (100.0 * std::pow(-1.0 - mean, 4) + 100.0 * std::pow(1.0 - mean, 4) +
       std::pow(11.0 - mean, 4)) /
      201.0;
  EXPECT_NEAR(*input_sensitivity(SensitivityMetric::kRangeParm, input),
              11.0 / std::sqrt(variance), 1e-12);
  EXPECT_NEAR(*input_sensitivity(SensitivityMetric::kKurtosis, input),
              fourth / variance / variance, 1e-12);
  // Quartiles -1 and 1, each within a bin of 16 / 4096.
  EXPECT_NEAR(*input_sensitivity(SensitivityMetric::kQuantile, input),
              2.0 * 11.0 / 254.0 / 2.0, 11.0 / 254.0 * 2.0 / 2048.0);
}

TEST(Sensitivity, RanksHeavyTailsAboveNormalOnes) {
  std::vector<float> values = normal_values(5000);
  TensorObserver normal;
  ASSERT_TRUE(normal.add(values).ok());
  values[0] = 100.0f;
  TensorObserver heavy;
  ASSERT_TRUE(heavy.add(values).ok());
  for (const auto metric :
       {SensitivityMetric::kRangeParm, SensitivityMetric::kQuantile,
        SensitivityMetric::kKurtosis}) {
    EXPECT_GT(*input_sensitivity(metric, heavy),
              2.0 * *input_sensitivity(metric, normal));
  }
}

TEST(Sensitivity, ConstantInputsAreNotSensitive) {
  TensorObserver input;
  EXPECT_EQ(
      input_sensitivity(SensitivityMetric::kKurtosis, input).status().code(),
      TSR_FAILED_PRECONDITION);
  ASSERT_TRUE(input.add(std::vector<float>(10, 3.0f)).ok());
  EXPECT_EQ(*input_sensitivity(SensitivityMetric::kRangeParm, input), 0.0);
}

TEST(Sensitivity, LayerMseIsThatOfTheOutputs) {
  const uint32_t M = 200;
  const uint32_t K = 70;
  const uint32_t N = 67;
  const std::vector<float> x = correlated_rows(M, K);
  const std::vector<float> w = normal_values(size_t{N} * K, 1);
  std::vector<float> decoded = normal_values(size_t{N} * K, 2);
  for (size_t i = 0; i < w.size(); ++i) decoded[i] = w[i] + 0.01f * decoded[i];
  auto statistics = InputStatistics::create(K, true);
  ASSERT_TRUE(statistics.ok());
  ASSERT_TRUE(statistics->add(x, run_serially()).ok());
  const auto hessian = std::move(*statistics).take_hessian(run_serially());
  ASSERT_TRUE(hessian.ok());
  double expected = 0.0;
  for (uint32_t m = 0; m < M; ++m) {
    for (uint32_t n = 0; n < N; ++n) {
      double error = 0.0;
      for (uint32_t k = 0; k < K; ++k) {
        error +=
            double{x[size_t{m} * K + k]} *
            (double{decoded[size_t{n} * K + k]} - double{w[size_t{n} * K + k]});
      }
      expected += error * error / M / N;
    }
  }
  const auto mse = layer_mse(N, w, decoded, *hessian, run_serially());
  ASSERT_TRUE(mse.ok());
  // f32 products of K + M terms.
  EXPECT_NEAR(*mse / expected, 1.0, (K + M) * 0x1p-24 * 4.0);
  EXPECT_EQ(*layer_mse(N, w, w, *hessian, run_serially()), 0.0);
  EXPECT_FALSE(layer_mse(N + 1, w, w, *hessian, run_serially()).ok());
}

TEST(Sensitivity, NamesTheMetricsThereAre) {
  EXPECT_EQ(*find_sensitivity_metric("std"), SensitivityMetric::kRangeParm);
  EXPECT_EQ(find_sensitivity_metric("kl").status().message(),
            "sensitivity metric \"kl\" is none of range_parm, std, quantile, "
            "kurtosis, layer_mse");
}

TEST(WeightError, FollowsTheDefinitions) {
  WeightError error;
  error.add(std::vector<float>{3.0f, -4.0f}, std::vector<float>{3.0f, -3.0f});
  WeightError other;
  other.add(std::vector<float>{0.0f}, std::vector<float>{0.5f});
  error.merge(other);
  EXPECT_EQ(error.count(), 3U);
  EXPECT_DOUBLE_EQ(error.mean_absolute(), 0.5);
  EXPECT_DOUBLE_EQ(error.mean_squared(), 1.25 / 3.0);
  EXPECT_DOUBLE_EQ(error.max_absolute(), 1.0);
  EXPECT_DOUBLE_EQ(error.sqnr_db(), 10.0 * std::log10(25.0 / 1.25));
  EXPECT_DOUBLE_EQ(error.cosine(), 21.0 / (5.0 * std::sqrt(18.25)));
}

TEST(WeightError, IsPerfectForEqualWeights) {
  WeightError error;
  EXPECT_EQ(error.mean_squared(), 0.0);
  const std::vector<float> zeros(4, 0.0f);
  error.add(zeros, zeros);
  EXPECT_EQ(error.cosine(), 1.0);
  EXPECT_EQ(error.sqnr_db(), std::numeric_limits<double>::infinity());
  error.add(zeros, std::vector<float>(4, 1.0f));
  EXPECT_EQ(error.cosine(), 0.0);
}

}  // namespace
}  // namespace tessera::quant
