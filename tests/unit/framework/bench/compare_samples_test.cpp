// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/compare_samples.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

// Timings of one op on a machine: 2 % of noise, one in twenty delayed.
std::vector<double> timings(double median, size_t count, std::mt19937& rng) {
  std::normal_distribution<double> noise(1.0, 0.02);
  std::exponential_distribution<double> delay(2.0);
  std::vector<double> samples(count);
  for (double& sample : samples) {
    sample = median * noise(rng) * (rng() % 20 == 0 ? 1.0 + delay(rng) : 1.0);
  }
  return samples;
}

// Smallest adjusted p of rows of two runs of 15 samples, of which row 7 is
// slowed by `factor`.
std::vector<double> compare_runs(double factor, std::mt19937& rng) {
  constexpr size_t kRows = 40;
  std::vector<double> p;
  for (size_t row = 0; row < kRows; ++row) {
    const double median = 1e3 * static_cast<double>(row + 1);
    p.push_back(
        mann_whitney_p(timings(median, 15, rng),
                       timings(row == 7 ? factor * median : median, 15, rng)));
  }
  return holm_adjusted(p);
}

TEST(CompareSamples, IdenticalRunsDifferNowhere) {
  std::mt19937 rng(42);
  int alarms = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<double> p = compare_runs(1.0, rng);
    alarms += *std::min_element(p.begin(), p.end()) < 0.05 ? 1 : 0;
  }
  // At most 5 %, and three standard deviations of 200 trials.
  EXPECT_LE(alarms, 10 + 9);
}

TEST(CompareSamples, FindATenthInNinetyFiveOfAHundred) {
  std::mt19937 rng(42);
  int found = 0;
  for (int trial = 0; trial < 100; ++trial) {
    found += compare_runs(1.1, rng)[7] < 0.05 ? 1 : 0;
  }
  EXPECT_GE(found, 95);
}

// U = 0 is one of the 35 ways to draw three ranks of seven.
TEST(MannWhitney, FollowsItsFormula) {
  const std::vector<double> a = {1.0, 2.0, 3.0};
  const std::vector<double> b = {4.0, 5.0, 6.0, 7.0};
  EXPECT_NEAR(mann_whitney_p(a, b), 2.0 / 35.0, 1e-12);
  EXPECT_EQ(mann_whitney_p(a, b), mann_whitney_p(b, a));
  EXPECT_EQ(mann_whitney_p(a, {}), 1.0);
  // One pair of a tie: U = 0.5 of 2 x 2, variance 4 / 12 (5 - 6 / 12).
  EXPECT_NEAR(mann_whitney_p(std::vector{1.0, 2.0}, std::vector{2.0, 3.0}),
              std::erfc(1.0 / std::sqrt(2.0 * 1.5)), 1e-12);
  const std::vector<double> same(5, 2.0);
  EXPECT_EQ(mann_whitney_p(same, same), 1.0);
}

TEST(Holm, GrowsWithThePosition) {
  const std::vector<double> p = {0.04, 0.01, 0.03};
  const std::vector<double> adjusted = holm_adjusted(p);
  EXPECT_DOUBLE_EQ(adjusted[1], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[0], 0.06);
}

}  // namespace
}  // namespace tessera::bench
