// SPDX-License-Identifier: Apache-2.0
//
// Other runtimes' plans are never better than ours, as far as both predict.

#include "framework/planner/baselines.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/framework/planner/random_problem.hpp"

namespace tessera::planner {
namespace {

// Sums of a few dozen doubles, added in another order.
constexpr double kRounding = 1e-9;

TEST(FindBaselines, AreNeverBetterThanPlansOfRandomProblems) {
  std::map<std::string, int> feasible;
  std::map<std::string, int> worse;
  for (uint32_t seed = 42; seed < 642; ++seed) {
    const Problem problem = random_problem(seed);
    const auto baselines = find_baselines(problem, {});
    ASSERT_TRUE(baselines.ok()) << baselines.status().message();
    const auto made = make_plan(problem, {{}, false, false});
    for (const Baseline& baseline : *baselines) {
      if (!baseline.feasible) continue;
      ASSERT_TRUE(made.ok()) << baseline.name << " found a plan, seed " << seed;
      const double ours = made->file.objective_value;
      const double theirs = baseline.prediction.objective;
      EXPECT_GE(theirs, ours * (1.0 - kRounding))
          << baseline.name << ", seed " << seed;
      ++feasible[baseline.name];
      if (theirs > ours * (1.0 + kRounding)) ++worse[baseline.name];
    }
  }
  EXPECT_EQ(feasible.size(), 5U);
  for (const auto& [name, count] : feasible) {
    EXPECT_GT(count, 100) << name;
    EXPECT_GT(worse[name], 50) << name;
    RecordProperty(name, count);
  }
}

}  // namespace
}  // namespace tessera::planner
