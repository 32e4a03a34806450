// SPDX-License-Identifier: Apache-2.0
//
// Plans against every other plan of small random problems.

#include <gtest/gtest.h>

#include <iterator>
#include <map>
#include <string>

#include "framework/planner/planner.hpp"
#include "tests/unit/framework/planner/every_plan.hpp"
#include "tests/unit/framework/planner/random_problem.hpp"

namespace tessera::planner {
namespace {

// Sums of a few dozen doubles, added in another order.
constexpr double kRounding = 1e-9;

// The same without one kind of limit.
Problem without(Problem problem, uint32_t kind) {
  if (kind == 0) {
    for (MemoryPool& pool : problem.pools) pool.bytes = uint64_t{1} << 40;
  }
  if (kind == 1) problem.limits.kl.reset();
  if (kind == 2) problem.limits.prefill_ns.reset();
  if (kind == 3) problem.limits.decode_ns.reset();
  if (kind == 4) problem.rules.clear();
  if (kind == 5) {
    for (TransferCurve& curve : problem.transfers) curve.return_ns = {};
  }
  return problem;
}

// The same without a means that plans have.
Problem deprived(Problem problem, uint32_t means) {
  auto& cells = problem.linear_classes[0].cells;
  if (means == 0) {
    std::erase_if(cells, [](const Cell& one) { return !one.layout.empty(); });
  }
  if (means == 1) {
    std::erase_if(cells, [](const Cell& one) { return one.parts.size() > 1; });
  }
  if (means == 2) {
    for (TransferCurve& curve : problem.transfers) curve.overlap = 0.0;
  }
  if (means == 3) problem.split_phases = false;
  return problem;
}

constexpr const char* kMeans[] = {"layouts", "divided linears", "overlap",
                                  "split phases"};
constexpr const char* kKinds[] = {"memory",         "KL",    "time of prefill",
                                  "time of decode", "rules", "returns"};

TEST(MakePlan, IsTheBestOfAllPlansOfRandomProblems) {
  std::map<std::string, int> active;
  int feasible = 0;
  int infeasible = 0;
  for (uint32_t seed = 42; seed < 1042; ++seed) {
    const Problem problem = random_problem(seed);
    const double best = best_of_every_plan(problem);
    const auto made = make_plan(problem, {{}, false, false});
    if (best == kNoPlan) {
      ++infeasible;
      EXPECT_FALSE(made.ok()) << "seed " << seed;
      continue;
    }
    ++feasible;
    ASSERT_TRUE(made.ok()) << "seed " << seed << made.status().message();
    EXPECT_NEAR(made->file.objective_value, best, kRounding * best)
        << "seed " << seed;
    EXPECT_LE(made->file.gap, kRounding) << "seed " << seed;
    for (uint32_t kind = 0; kind < std::size(kKinds); ++kind) {
      const double freer = best_of_every_plan(without(problem, kind));
      if (freer < best * (1.0 - kRounding)) ++active[kKinds[kind]];
    }
    for (uint32_t means = 0; means < std::size(kMeans); ++means) {
      const double poorer = best_of_every_plan(deprived(problem, means));
      if (poorer > best * (1.0 + kRounding)) ++active[kMeans[means]];
    }
  }
  EXPECT_GT(feasible, 500);
  EXPECT_GT(infeasible, 50);
  for (const char* kind : kKinds) {
    EXPECT_GE(active[kind], 5) << kind << " never changed the best plan";
    RecordProperty(kind, active[kind]);
  }
  for (const char* means : kMeans) {
    EXPECT_GE(active[means], 5) << means << " never made a plan better";
    RecordProperty(means, active[means]);
  }
}

}  // namespace
}  // namespace tessera::planner
