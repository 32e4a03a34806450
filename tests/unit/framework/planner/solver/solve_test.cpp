// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/solve.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

// Objectives are sums of a few dozen doubles, added in another order.
constexpr double kRounding = 1e-9;

struct Tally {
  uint32_t feasible = 0;
  uint32_t infeasible = 0;
  std::vector<uint32_t> active;  // instances in which a row had to be obeyed
};

void hold_to_all_choices(const ChainShape& shape, uint32_t seed,
                         const SolveLimits& limits, Tally& tally) {
  std::mt19937 rng(seed);
  const Chain chain = random_chain(shape, rng);
  const Exhausted exact = try_all(chain);
  const Solution found = solve_chain(chain, limits);
  tally.active.resize(chain.rows.size());
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    tally.active[r] += exact.active[r] ? 1 : 0;
  }
  if (exact.objective == kInfinity) {
    ++tally.infeasible;
    EXPECT_TRUE(found.infeasible) << "seed " << seed;
    EXPECT_FALSE(found.feasible) << "seed " << seed;
    return;
  }
  ++tally.feasible;
  ASSERT_TRUE(found.feasible) << "seed " << seed;
  EXPECT_TRUE(is_feasible(chain, add_up(chain, found.choice)))
      << "seed " << seed;
  EXPECT_NEAR(found.objective, exact.objective, kRounding * exact.objective)
      << "seed " << seed;
  EXPECT_LE(found.bound, exact.objective * (1.0 + kRounding))
      << "seed " << seed;
  EXPECT_LE(found.gap(), kRounding) << "seed " << seed;
}

void hold_many(const ChainShape& shape, uint32_t first_seed, uint32_t count,
               const SolveLimits& limits = {}) {
  Tally tally;
  for (uint32_t seed = first_seed; seed < first_seed + count; ++seed) {
    hold_to_all_choices(shape, seed, limits, tally);
  }
  EXPECT_GT(tally.feasible, count / 4);
  for (size_t r = 0; r < shape.num_sites + 2; ++r) {
    EXPECT_GT(tally.active[r], 0U) << "row " << r << " was never obeyed";
  }
}

TEST(SolveChain, FindsTheBestOfAllChoicesOnTwoSites) { hold_many({}, 42, 500); }

TEST(SolveChain, FindsTheBestOfAllChoicesOnThreeSites) {
  ChainShape shape;
  shape.num_sites = 3;
  shape.num_segments = 3;
  shape.max_items = 1;
  hold_many(shape, 10042, 300);
}

TEST(SolveChain, FindsTheBestOfAllChoicesOfThreeSchemes) {
  ChainShape shape;
  shape.num_schemes = 3;
  shape.num_segments = 2;
  hold_many(shape, 20042, 200);
}

TEST(SolveChain, FindsTheLeastLargestLoad) {
  ChainShape shape;
  shape.loads = true;
  shape.tightest = 0.7;
  shape.loosest = 1.5;
  hold_many(shape, 30042, 200);
}

// What large chains are solved with, where every choice can still be tried.
TEST(SolveChain, FindsTheBestOfAllChoicesAsOfALargeChain) {
  SolveLimits limits;
  limits.small_chain = 0;
  hold_many({}, 40042, 300, limits);
  ChainShape shape;
  shape.loads = true;
  shape.tightest = 0.7;
  shape.loosest = 1.5;
  hold_many(shape, 50042, 30, limits);
}

TEST(SolveChain, ProvesThatNothingFits) {
  ChainShape shape;
  shape.tightest = 0.05;
  shape.loosest = 0.3;
  Tally tally;
  for (uint32_t seed = 42; seed < 142; ++seed) {
    hold_to_all_choices(shape, seed, {}, tally);
  }
  EXPECT_GT(tally.infeasible, 20U);
}

TEST(SolveChain, GivesTheSameChoiceTwice) {
  std::mt19937 rng(42);
  const Chain chain = random_chain({}, rng);
  const Solution a = solve_chain(chain, {});
  const Solution b = solve_chain(chain, {});
  EXPECT_EQ(a.choice.sites, b.choice.sites);
  EXPECT_EQ(a.choice.options, b.choice.options);
  EXPECT_EQ(a.bound, b.bound);
}

}  // namespace
}  // namespace tessera::planner
