// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/integer_program.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/framework/planner/solver/random_chain.hpp"

namespace tessera::planner {
namespace {

// What the library calls feasible or whole may be off by that; see
// mixed_integer_program.hpp.
constexpr double kRounding = 2e-6;

// Above what any choice of such a chain costs.
constexpr double kAnything = 200.0;

void hold_to_all_choices(const ChainShape& shape, uint32_t seed) {
  std::mt19937 rng(seed);
  const Chain chain = random_chain(shape, rng);
  const Exhausted exact = try_all(chain);
  const IntegerSolution found =
      solve_integer_program(chain, no_restriction(chain), kAnything, {});
  ASSERT_EQ(found.has_choice, exact.objective < kInfinity) << "seed " << seed;
  if (!found.has_choice) {
    EXPECT_NEAR(found.bound, kAnything, kRounding * kAnything);
    return;
  }
  const Totals totals = add_up(chain, found.choice);
  EXPECT_TRUE(is_feasible(chain, totals)) << "seed " << seed;
  EXPECT_NEAR(objective_of(chain, totals), exact.objective,
              kRounding * exact.objective)
      << "seed " << seed;
  EXPECT_LE(found.bound, exact.objective) << "seed " << seed;
  EXPECT_GE(found.bound, exact.objective * (1.0 - kRounding))
      << "seed " << seed;
}

TEST(IntegerProgram, FindsTheBestOfAllChoices) {
  for (uint32_t seed = 42; seed < 92; ++seed) hold_to_all_choices({}, seed);
}

TEST(IntegerProgram, KeepsSegmentsAtOneSite) {
  ChainShape shape;
  shape.num_sites = 3;
  shape.max_items = 1;
  shape.tied_share = 1.0;
  shape.one_resident_share = 1.0;
  for (uint32_t seed = 42; seed < 72; ++seed) hold_to_all_choices(shape, seed);
}

TEST(IntegerProgram, BalancesLoads) {
  ChainShape shape;
  shape.loads = true;
  shape.tightest = 0.7;
  shape.loosest = 1.5;
  for (uint32_t seed = 42; seed < 57; ++seed) hold_to_all_choices(shape, seed);
}

TEST(IntegerProgram, FindsNothingAtOrAboveTheCutoff) {
  std::mt19937 rng(42);
  ChainShape shape;
  shape.tightest = 1.0;
  shape.loosest = 1.5;
  const Chain chain = random_chain(shape, rng);
  const double best = try_all(chain).objective;
  ASSERT_LT(best, kInfinity);
  const double cutoff = best * 0.999;
  const IntegerSolution found =
      solve_integer_program(chain, no_restriction(chain), cutoff, {});
  EXPECT_FALSE(found.has_choice);
  EXPECT_NEAR(found.bound, cutoff, kRounding * cutoff);
}

TEST(IntegerProgram, LeavesLargeChainsAlone) {
  std::mt19937 rng(42);
  const Chain chain = random_chain({}, rng);
  const IntegerSolution found =
      solve_integer_program(chain, no_restriction(chain), kAnything, {10, 100});
  EXPECT_FALSE(found.has_choice);
  EXPECT_EQ(found.bound, -kInfinity);
}

}  // namespace
}  // namespace tessera::planner
