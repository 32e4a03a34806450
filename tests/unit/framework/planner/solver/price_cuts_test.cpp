// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/price_cuts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

namespace tessera::planner {
namespace {

constexpr double kGain = 1e-6;

struct Climb {
  double best = -kInfinity;
  uint32_t steps = 0;
  double mixed_use = 0.0;  // by weights()
  double mixed_cost = 0.0;
  double weight_sum = 0.0;
};

// Chooses in each of `items` the cheapest of {cost, use} with use * price
// added.
Climb climb(const std::vector<std::vector<std::pair<double, double>>>& items,
            double capacity) {
  Chain chain;
  chain.rows = {{"row", RowKind::kLimit, capacity}};
  const std::vector<double> scales = {capacity};
  const std::vector<double> floors = {0.0};
  PriceCuts cuts(chain.rows, scales);
  Climb result;
  std::vector<double> costs;
  std::vector<double> uses;
  std::vector<double> prices = {0.0};
  while (!prices.empty() && result.steps < 100) {
    double cost = 0.0;
    double use = 0.0;
    for (const auto& item : items) {
      const auto best =
          std::min_element(item.begin(), item.end(), [&](auto a, auto b) {
            return a.first + prices[0] * a.second <
                   b.first + prices[0] * b.second;
          });
      cost += best->first;
      use += best->second;
    }
    const double bound = cost + prices[0] * (use - capacity);
    result.best = std::max(result.best, bound);
    costs.push_back(cost);
    uses.push_back(use);
    ++result.steps;
    cuts.add(prices, bound, std::vector<double>{use}, floors);
    prices = cuts.next(kGain * std::max(1.0, std::abs(result.best)));
  }
  const std::vector<double> weights = cuts.weights();
  for (size_t c = 0; c < weights.size(); ++c) {
    result.weight_sum += weights[c];
    result.mixed_cost += weights[c] * costs[c];
    result.mixed_use += weights[c] * uses[c];
  }
  return result;
}

// The most that a price makes of the bound: with one limit the bound is concave
// in one price, so a fine search finds it.
double best_bound(
    const std::vector<std::vector<std::pair<double, double>>>& items,
    double capacity) {
  const auto bound_at = [&](double price) {
    double bound = -price * capacity;
    for (const auto& item : items) {
      double least = kInfinity;
      for (const auto& [cost, use] : item) {
        least = std::min(least, cost + price * use);
      }
      bound += least;
    }
    return bound;
  };
  double low = 0.0;
  double high = 1e3;
  for (int step = 0; step < 300; ++step) {
    const double a = low + (high - low) / 3.0;
    const double b = high - (high - low) / 3.0;
    (bound_at(a) < bound_at(b) ? low : high) =
        bound_at(a) < bound_at(b) ? a : b;
  }
  return bound_at(0.5 * (low + high));
}

TEST(PriceCuts, ClimbToTheBestBoundAndMixWhatKeepsTheLimit) {
  std::mt19937 rng(42);
  std::uniform_real_distribution<double> amount(1.0, 10.0);
  for (uint32_t trial = 0; trial < 50; ++trial) {
    std::vector<std::vector<std::pair<double, double>>> items(20);
    double least_use = 0.0;
    double most_use = 0.0;
    for (auto& item : items) {
      for (uint32_t o = 0; o < 4; ++o) {
        item.emplace_back(amount(rng), amount(rng));
      }
      const auto by_use = [](auto a, auto b) { return a.second < b.second; };
      const auto range = std::minmax_element(item.begin(), item.end(), by_use);
      least_use += range.first->second;
      most_use += range.second->second;
    }
    const double capacity = 0.7 * least_use + 0.3 * most_use;
    const double best = best_bound(items, capacity);
    const Climb found = climb(items, capacity);
    const double rounding = 10.0 * kGain * best;
    EXPECT_NEAR(found.best, best, rounding) << "trial " << trial;
    EXPECT_LT(found.steps, 60U) << "trial " << trial;
    EXPECT_NEAR(found.weight_sum, 1.0, 1e-6);
    EXPECT_LE(found.mixed_use, capacity * (1.0 + 1e-6)) << "trial " << trial;
    // Duality: the mix costs what the bound is.
    EXPECT_NEAR(found.mixed_cost, best, rounding) << "trial " << trial;
  }
}

}  // namespace
}  // namespace tessera::planner
