// SPDX-License-Identifier: Apache-2.0
//
// What rules that are asked after every load get wrong, on made-up times of
// known laws.

#include "framework/cli/plan/race_rules.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "framework/bench/statistics/sign_test.hpp"

namespace tessera::cli {
namespace {

constexpr int kRaces = 4000;
constexpr uint32_t kLoads = 12;
constexpr double kWidth = 0.02;
// Of races: what a rule may get wrong, and four standard errors of that.
constexpr double kWrong = 0.05;
const double kMost = kWrong + 4.0 * std::sqrt(kWrong * (1 - kWrong) / kRaces);

// Noise of a ratio whose median is 1, by how many loads came before.
struct Law {
  std::string name;
  std::function<double(std::mt19937&, uint32_t)> draw;
};

void PrintTo(const Law& law, std::ostream* out) { *out << law.name; }

double normal(std::mt19937& rng, double sigma) {
  return std::exp(std::normal_distribution<double>(0.0, sigma)(rng));
}

// Loud minutes, which make either plan slower.
double disturbed(std::mt19937& rng, uint32_t) {
  const auto which = rng() % 10;
  const double factor = which == 0 ? 1.3 : which == 1 ? 1.0 / 1.3 : 1.0;
  return factor * normal(rng, 0.01);
}

// Mostly a little fast, now and then much too slow.
double skewed(std::mt19937& rng, uint32_t) {
  const double x = std::exponential_distribution<double>(1.0)(rng);
  return 1.0 + 0.05 * (x - std::log(2.0));
}

class RaceRules : public ::testing::TestWithParam<Law> {
 protected:
  // Ratios of a race, load by load, until `ends` says so.
  std::vector<double> race(double median,
                           const std::function<bool(const LoadRatios&)>& ends) {
    std::vector<double> ratios;
    while (ratios.size() < kLoads) {
      ratios.push_back(
          median * GetParam().draw(rng_, static_cast<uint32_t>(ratios.size())));
      if (ends({ratios, kLoads})) break;
    }
    return ratios;
  }

  std::mt19937 rng_{42};
};

// A plan at the limit is taken for slower than that in 1 race of 20 at most.
TEST_P(RaceRules, CallFewPlansSlowerThatAreNot) {
  const auto slower = [](const LoadRatios& found) {
    return is_slower(found, kWidth);
  };
  int wrong = 0;
  for (int i = 0; i < kRaces; ++i) {
    const std::vector<double> ratios = race(1.0 + kWidth, slower);
    if (slower({ratios, kLoads})) ++wrong;
  }
  EXPECT_LE(wrong, kMost * kRaces);
}

// However a race ended, its interval holds the median.
TEST_P(RaceRules, GiveIntervalsThatHold) {
  for (const double median : {0.97, 1.0, 1.02, 1.2}) {
    int wrong = 0;
    for (int i = 0; i < kRaces; ++i) {
      const std::vector<double> ratios =
          race(median, [](const LoadRatios& found) {
            return interval_at_any_look(found).has_value() &&
                   is_settled(found, kWidth);
          });
      const auto interval = interval_at_any_look({ratios, kLoads});
      ASSERT_TRUE(interval.has_value());
      if (interval->low > median || interval->high < median) ++wrong;
    }
    EXPECT_LE(wrong, kMost * kRaces) << median;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Laws, RaceRules,
    ::testing::Values(Law{"quiet", [](std::mt19937& rng,
                                      uint32_t) { return normal(rng, 0.003); }},
                      Law{"loud", [](std::mt19937& rng,
                                     uint32_t) { return normal(rng, 0.1); }},
                      Law{"disturbed", disturbed}, Law{"skewed", skewed},
                      Law{"quieter",
                          [](std::mt19937& rng, uint32_t load) {
                            return normal(rng, 0.1 / (1 + load));
                          }}),
    [](const auto& one) { return one.param.name; });

// The test that looks as often and does not count its looks is wrong far more
// often, which is what the rules are for.
TEST(RaceRulesOfOneLook, WouldBeWrongMoreOften) {
  std::mt19937 rng(42);
  int wrong = 0;
  for (int i = 0; i < kRaces; ++i) {
    std::vector<double> limit_to_ratio;
    bool stopped = false;
    while (limit_to_ratio.size() < kLoads && !stopped) {
      limit_to_ratio.push_back(normal(rng, 0.1));
      stopped = bench::below_one_p(limit_to_ratio) <= kWrong;
    }
    if (stopped) ++wrong;
  }
  EXPECT_GT(wrong, kMost * kRaces);
}

TEST(IsSettled, OnceAPlanIsClearlySlowerOrWellKnown) {
  const std::vector<double> slow(8, 1.5);
  const std::vector<double> alike(8, 1.001);
  EXPECT_TRUE(is_settled({slow, kLoads}, kWidth));
  EXPECT_TRUE(is_settled({alike, kLoads}, kWidth));
  EXPECT_FALSE(is_slower({alike, kLoads}, kWidth));
  // A faster one is looked at as long as it is not known well.
  const std::vector<double> fast = {0.9, 0.8, 0.85, 0.7, 0.9, 0.8, 0.9, 0.8};
  EXPECT_FALSE(is_settled({fast, kLoads}, kWidth));
  // Nothing is said of a few loads.
  EXPECT_FALSE(is_settled({std::span(slow).first(5), kLoads}, kWidth));
  EXPECT_FALSE(interval_at_any_look({std::span(slow).first(5), kLoads}));
}

}  // namespace
}  // namespace tessera::cli
