// SPDX-License-Identifier: Apache-2.0
//
// Which plans are called faster, on made-up times of known laws.

#include "framework/cli/plan/faster_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

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

}  // namespace
}  // namespace tessera::cli
