// SPDX-License-Identifier: Apache-2.0
//
// What is said of problems without a plan, against every plan they could have.

#include "framework/planner/conflict.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/framework/planner/every_plan.hpp"
#include "tests/unit/framework/planner/random_problem.hpp"

namespace tessera::planner {
namespace {

// Proofs of how little is enough stop that near.
constexpr double kGap = 0.005;
// Sums of a few dozen doubles, added in another order.
constexpr double kRounding = 1e-9;

double use_of(const BuiltChain& built, uint32_t row, const PlanSum& sum) {
  const std::string& name = built.chain.rows[row].name;
  switch (built.meanings[row]) {
    case RowMeaning::kMemory:
      return sum.memory(row);
    case RowMeaning::kKl:
      return sum.kl[name == "KL of decode" ? kDecode : kPrefill];
    case RowMeaning::kTime:
      return sum.ns[name == "time of decode" ? kDecode : kPrefill];
    case RowMeaning::kLoad:
      break;
  }
  ADD_FAILURE() << name << " is no limit";
  return 0.0;
}

bool keeps(const BuiltChain& built, uint32_t row, const PlanSum& sum) {
  return use_of(built, row, sum) <=
         built.chain.rows[row].capacity * (1.0 + 1e-12);
}

// The least that `row` takes in any plan that keeps the conflict's other limits
// and all of its rules but `left_out`; kNoPlan without such a plan.  Without a
// row: 0 if there is such a plan.
double least_of(const Problem& problem, const BuiltChain& built,
                const Conflict& conflict, std::optional<uint32_t> row,
                std::optional<uint32_t> left_out) {
  Problem ruled = problem;
  ruled.rules.clear();
  for (const uint32_t rule : conflict.rules) {
    if (rule != left_out) ruled.rules.push_back(problem.rules[rule]);
  }
  double least = kNoPlan;
  visit_every_plan(ruled, [&](const PlanSum& sum) {
    const bool kept =
        std::all_of(conflict.limits.begin(), conflict.limits.end(),
                    [&](const Conflict::Limit& limit) {
                      return limit.row == row || keeps(built, limit.row, sum);
                    });
    if (kept) least = std::min(least, row ? use_of(built, *row, sum) : 0.0);
  });
  return least;
}

void hold_to_every_plan(const Problem& problem, const BuiltChain& built,
                        const Conflict& conflict) {
  EXPECT_EQ(least_of(problem, built, conflict, {}, {}), kNoPlan)
      << "what is said to clash does not";
  for (const Conflict::Limit& limit : conflict.limits) {
    const Row& row = built.chain.rows[limit.row];
    const double least = least_of(problem, built, conflict, limit.row, {});
    ASSERT_LT(least, kNoPlan) << row.name << " has no part in it";
    EXPECT_LE(limit.least, least * (1.0 + kRounding)) << row.name;
    EXPECT_GE(limit.least, least * (1.0 - kGap) - kRounding) << row.name;
    EXPECT_GE(limit.least, row.capacity) << row.name;
  }
  for (const uint32_t rule : conflict.rules) {
    EXPECT_LT(least_of(problem, built, conflict, {}, rule), kNoPlan)
        << "rule " << rule << " has no part in it";
  }
}

TEST(FindConflict, IsLeastAndSaysWhatWouldDo) {
  int found = 0;
  int with_rules = 0;
  int of_several = 0;
  for (uint32_t seed = 42; seed < 842; ++seed) {
    const Problem problem = random_problem(seed);
    const auto built = build_chain(problem);
    if (!built.ok() || best_of_every_plan(problem) < kNoPlan) continue;
    SCOPED_TRACE("seed " + std::to_string(seed));
    SolveLimits limits;
    limits.gap = kGap;
    const auto conflict = find_conflict(problem, *built, limits);
    ASSERT_TRUE(conflict.ok()) << conflict.status().message();
    hold_to_every_plan(problem, *built, *conflict);
    ++found;
    with_rules += conflict->rules.empty() ? 0 : 1;
    of_several += conflict->limits.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(found, 50);
  EXPECT_GT(with_rules, 5);
  EXPECT_GT(of_several, 10);
}

}  // namespace
}  // namespace tessera::planner
