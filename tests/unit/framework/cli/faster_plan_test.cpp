// SPDX-License-Identifier: Apache-2.0
//
// Which plans are called faster, on made-up times of known laws.

#include "framework/cli/plan/faster_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "framework/cli/plan/race_rules.hpp"

namespace tessera::cli {
namespace {

constexpr size_t kLoads = 12;

std::vector<double> race(double median, double sigma, std::mt19937& rng) {
  std::lognormal_distribution<double> noise(std::log(median), sigma);
  std::vector<double> ratios(kLoads);
  for (double& ratio : ratios) ratio = noise(rng);
  return ratios;
}

// Of races where all are alike, one in twenty at most has one.
TEST(FasterBeyondChance, IsSeldomAnyOfManyThatAreNot) {
  constexpr int kRaces = 2000;
  constexpr double kWrong = 0.05;
  std::mt19937 rng(42);
  int wrong = 0;
  for (int i = 0; i < kRaces; ++i) {
    std::vector<std::vector<double>> ratios;
    for (int plan = 0; plan < 6; ++plan) ratios.push_back(race(1.0, 0.05, rng));
    if (!faster_beyond_chance(ratios).empty()) ++wrong;
  }
  const double error = std::sqrt(kWrong * (1 - kWrong) / kRaces);
  EXPECT_LE(wrong, (kWrong + 4.0 * error) * kRaces);
}

TEST(FasterBeyondChance, HasTheFastestFirst) {
  std::mt19937 rng(42);
  const auto found = faster_beyond_chance(
      {race(0.95, 0.005, rng), race(1.1, 0.005, rng), race(0.9, 0.005, rng)});
  EXPECT_THAT(found, testing::ElementsAre(2, 0));
}

TEST(FasterBeyondChance, IsNotWhatTwoLoadsSay) {
  EXPECT_TRUE(faster_beyond_chance({{0.5, 0.5}}).empty());
  EXPECT_TRUE(faster_beyond_chance({}).empty());
}

bool gives_way_to(const std::vector<double>& ratios) {
  return gives_way(
      ratios, interval_at_any_look({ratios, static_cast<uint32_t>(kLoads)}));
}

// A percent does, if it is certain.
TEST(GivesWay, ToAnyThatIsFasterBeyondChance) {
  std::mt19937 rng(42);
  EXPECT_TRUE(gives_way_to(race(0.98, 0.002, rng)));
  EXPECT_FALSE(gives_way_to(race(1.02, 0.002, rng)));
}

// A machine of two speeds, at one of which the plan is the faster of the two:
// no interval leaves out 1, but to stay would cost a tenth in the median.
TEST(GivesWay, WhereItIsFarBehindWithoutProof) {
  std::vector<double> ratios(kLoads, 0.9);
  for (size_t i = 0; i < ratios.size(); i += 3) ratios[i] = 1.1;
  const auto known = interval_at_any_look({ratios, kLoads});
  ASSERT_TRUE(known.has_value());
  ASSERT_GT(known->high, 1.0);
  EXPECT_TRUE(gives_way(ratios, known));
  for (double& ratio : ratios) ratio = ratio < 1.0 ? 0.98 : 1.1;
  EXPECT_FALSE(gives_way_to(ratios));
}

TEST(GivesWay, ToNoneThatHardlyRan) {
  EXPECT_FALSE(gives_way_to({0.5, 0.5}));
  EXPECT_TRUE(gives_way_to({0.5, 0.5, 0.5}));
}

}  // namespace
}  // namespace tessera::cli
