// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/rivals.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

TEST(FindRivals, KeepTheLimitsAndAreNoBetter) {
  Problem problem = small_problem();
  problem.limits.kl = 0.03;
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok());
  const auto rivals = find_rivals(problem, *made, {5, 20}, {});
  ASSERT_TRUE(rivals.ok()) << rivals.status().message();
  std::map<std::string, int> kinds;
  for (const Rival& rival : *rivals) {
    ++kinds[rival.kind];
    EXPECT_TRUE(rival.prediction.feasible);
    EXPECT_LE(rival.prediction.kl, 0.03 + 1e-12);
    EXPECT_GE(rival.prediction.objective,
              made->file.objective_value * (1.0 - 1e-9))
        << rival.kind << " " << rival.detail;
  }
  EXPECT_EQ(kinds["random"], 5);
  EXPECT_GT(kinds["move"], 0);
  EXPECT_GT(kinds["uniform"] + kinds["baseline"], 0);
}

TEST(FindRivals, AreTheSameEachTime) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  const auto a = find_rivals(small_problem(), *made, {10, 10}, {});
  const auto b = find_rivals(small_problem(), *made, {10, 10}, {});
  ASSERT_TRUE(a.ok() && b.ok());
  ASSERT_EQ(a->size(), b->size());
  for (size_t i = 0; i < a->size(); ++i) {
    EXPECT_EQ((*a)[i].prediction.objective, (*b)[i].prediction.objective);
  }
}

}  // namespace
}  // namespace tessera::planner
