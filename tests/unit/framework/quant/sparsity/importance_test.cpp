// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/sparsity/importance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/framework/quant/random_values.hpp"

namespace tessera::quant {
namespace {

using ::testing::ElementsAre;

GptqFactor factor_of(std::span<const float> x, uint32_t K, bool act_order) {
  auto statistics = InputStatistics::create(K, true);
  EXPECT_TRUE(statistics->add(x, run_serially()).ok());
  auto hessian = std::move(*statistics).take_hessian(run_serially());
  GptqOptions options;
  options.act_order = act_order;
  auto factor = factor_hessian(std::move(*hessian), options, run_serially());
  EXPECT_TRUE(factor.ok()) << factor.status().message();
  return std::move(*factor);
}

TEST(Importance, MarksExactlyTheCountAndTiesByPlace) {
  const std::vector<float> values = {2, -1, 1, -2, 1, 3};
  const std::vector<float> ones = {1, 1, 1};
  EXPECT_THAT(mark_least_important(values, ones, 2),
              ElementsAre(0, 1, 1, 0, 0, 0));
  EXPECT_THAT(mark_most_important(values, ones, 2),
              ElementsAre(1, 0, 0, 0, 0, 1));
  EXPECT_THAT(mark_most_important(values, ones, 0),
              ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(mark_most_important(values, ones, 6),
              ElementsAre(1, 1, 1, 1, 1, 1));
}

TEST(Importance, FactorsMayOutweighMagnitudes) {
  const std::vector<float> values = {2, -1, 1, -2, 1, 3};
  const std::vector<float> factors = {1, 10, 0};
  EXPECT_THAT(mark_most_important(values, factors, 2),
              ElementsAre(0, 1, 0, 0, 1, 0));
  EXPECT_THAT(mark_least_important(values, factors, 2),
              ElementsAre(0, 0, 1, 0, 0, 1));
}

TEST(Importance, MarksWhatSortingWouldMark) {
  const std::vector<float> values = normal_values(7 * 33);
  const std::vector<float> factors(33, 1.0f);
  std::vector<float> sorted;
  for (const float value : values) sorted.push_back(std::fabs(value));
  std::sort(sorted.begin(), sorted.end());
  for (const size_t count : {size_t{1}, size_t{100}, values.size() - 1}) {
    const auto marks = mark_least_important(values, factors, count);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(marks[i] != 0, std::fabs(values[i]) <= sorted[count - 1]);
    }
  }
}

TEST(Importance, WandaIsTheNormOfTheColumn) {
  auto statistics = InputStatistics::create(2, false);
  ASSERT_TRUE(
      statistics->add(std::vector<float>{3, 1, 4, 1}, run_serially()).ok());
  const auto factors = importance_factors(Importance::kWanda, 2,
                                          &statistics->columns(), nullptr);
  ASSERT_TRUE(factors.ok()) << factors.status().message();
  EXPECT_FLOAT_EQ((*factors)[0], 5.0f);
  EXPECT_FLOAT_EQ((*factors)[1], std::sqrt(2.0f));
}

// The order in which the columns were factored does not matter.  Both factors
// carry the rounding of an f32 inversion; the bound is far above it and far
// below the differences between columns.
TEST(Importance, SparseGptReadsTheInverseWhateverItsOrder) {
  const uint32_t K = 12;
  const std::vector<float> x = correlated_rows(64, K);
  const GptqFactor plain = factor_of(x, K, false);
  const GptqFactor ordered = factor_of(x, K, true);
  const auto a = importance_factors(Importance::kSparseGpt, K, nullptr, &plain);
  const auto b =
      importance_factors(Importance::kSparseGpt, K, nullptr, &ordered);
  ASSERT_TRUE(a.ok() && b.ok());
  for (uint32_t k = 0; k < K; ++k) {
    EXPECT_NEAR((*b)[k] / (*a)[k], 1.0, 1e-3) << k;
  }
}

TEST(Importance, NamesWhatIsMissing) {
  EXPECT_EQ(importance_factors(Importance::kWanda, 4, nullptr, nullptr)
                .status()
                .message(),
            "importance wanda: needs column statistics");
  EXPECT_EQ(importance_factors(Importance::kSparseGpt, 4, nullptr, nullptr)
                .status()
                .message(),
            "importance sparsegpt: needs a hessian");
  ColumnStatistics columns;
  columns.sum_squares.resize(3);
  EXPECT_EQ(importance_factors(Importance::kWanda, 4, &columns, nullptr)
                .status()
                .message(),
            "importance wanda: statistics of 3 columns for K=4");
}

}  // namespace
}  // namespace tessera::quant
