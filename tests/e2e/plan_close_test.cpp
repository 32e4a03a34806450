// SPDX-License-Identifier: Apache-2.0
//
// Schemes that are nearly as good as each other, on a machine that changes.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/e2e/plan_costs.hpp"

namespace tessera::e2e {
namespace {

// Of sums of shares.
constexpr double kRounding = 1e-6;

class CloseCosts : public PlanCosts {
 protected:
  // Runs of a hundredth of a second.
  CloseCosts() { machine_.speed = kSpeed; }

  static constexpr double kSpeed = 1e10;

  // As many bytes, so that either may be chosen.
  ProblemInputs close_inputs() {
    ProblemInputs asked = inputs();
    asked.schemes = {*find_scheme("w8a16"), *find_scheme("w8a8_dynamic")};
    asked.probe.store = nullptr;
    return asked;
  }

  planner::Assignment all_in(const char* scheme, Problem problem) {
    problem.rules.push_back({"layers.*", device_->name(), scheme, false});
    const auto made = planner::make_plan(problem, {{}, false, false});
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made->assignment;
  }

  // After all was timed once, nothing is near enough to the second scheme, or
  // quick enough, to be timed again.
  void expect_no_second_go(const ProblemInputs& asked) {
    ProblemMaker maker(asked);
    Problem problem = make(maker);
    const uint32_t runs = machine_.runs;
    const auto changed =
        maker.measure_close(all_in("w8a8_dynamic", problem), kNever, problem);
    ASSERT_TRUE(changed.ok()) << changed.status().message();
    EXPECT_EQ(*changed, 0U);
    EXPECT_EQ(machine_.runs, runs);
  }

  static std::vector<double> all_ns(const Problem& problem) {
    std::vector<double> ns;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      for (const auto& entry : problem.segment_classes) {
        ns.push_back(entry.sites[0].costs[phase]->ns);
      }
      for (const auto& entry : problem.linear_classes) {
        for (const auto& cell : entry.cells) {
          ns.push_back(cell.costs[phase]->ns);
        }
      }
    }
    return ns;
  }

  // Of the second scheme to the first, by linear class.
  static std::vector<double> ratios(const Problem& problem) {
    std::vector<double> found;
    for (const auto& entry : problem.linear_classes) {
      found.push_back(entry.cells[1].costs[kDecode]->ns /
                      entry.cells[0].costs[kDecode]->ns);
    }
    return found;
  }
};

// The machine gets faster from one go to the next, which is no merit of what is
// timed then.
TEST_F(CloseCosts, AreTimedAnewInOneGo) {
  const ProblemInputs asked = close_inputs();
  ProblemMaker at_once(asked);
  const std::vector<double> truth = ratios(make(at_once));
  ProblemMaker maker(asked);
  Problem problem = make(maker, ProbeDepth::kEstimate);
  ASSERT_TRUE(
      maker.measure_used(all_in("w8a16", problem), kNever, problem).ok());
  machine_.speed = 1.02 * kSpeed;
  const planner::Assignment chosen = all_in("w8a8_dynamic", problem);
  ASSERT_TRUE(maker.measure_used(chosen, kNever, problem).ok());
  const std::vector<double> before = ratios(problem);
  const auto changed = maker.measure_close(chosen, kNever, problem);
  ASSERT_TRUE(changed.ok()) << changed.status().message();
  EXPECT_GT(*changed, 0U);
  const std::vector<double> after = ratios(problem);
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_LT(before[i], truth[i] / 1.02 + 1e-3) << "not in one go";
    EXPECT_NEAR(after[i], truth[i], kRounding);
  }
  const uint32_t runs = machine_.runs;
  EXPECT_EQ(*maker.measure_close(chosen, kNever, problem), 0U);
  EXPECT_EQ(machine_.runs, runs) << "once";
}

// They were told apart when they were timed; the same plan comes of them again.
TEST_F(CloseCosts, AreNotThoseOfKeptTimesThatHold) {
  ProblemInputs asked = close_inputs();
  asked.probe.store = &*store_;
  ProblemMaker first(asked);
  make(first);
  ProblemMaker maker(asked);
  Problem problem = make(maker, ProbeDepth::kEstimate);
  const planner::Assignment chosen = all_in("w8a8_dynamic", problem);
  const std::vector<double> kept = ratios(problem);
  const uint32_t runs = machine_.runs;
  EXPECT_EQ(*maker.measure_used(chosen, kNever, problem), 0U);
  const uint32_t checked = machine_.runs;
  EXPECT_GT(checked, runs) << "what carries the plan was not timed";
  EXPECT_EQ(*maker.measure_close(chosen, kNever, problem), 0U);
  EXPECT_EQ(machine_.runs, checked);
  EXPECT_EQ(ratios(problem), kept);
}

// However times were come by, who plans with them again has the same problem.
TEST_F(CloseCosts, GiveTheSameProblemWhenTheyAreKept) {
  ProblemInputs asked = close_inputs();
  asked.probe.store = &*store_;
  ProblemMaker maker(asked);
  Problem timed = make(maker, ProbeDepth::kEstimate);
  for (const char* scheme : {"w8a16", "w8a8_dynamic"}) {
    const planner::Assignment chosen = all_in(scheme, timed);
    ASSERT_TRUE(maker.measure_used(chosen, kNever, timed).ok());
    machine_.speed *= 1.02;
    ASSERT_TRUE(maker.measure_close(chosen, kNever, timed).ok());
  }
  ProblemMaker later(asked);
  const Problem kept = make(later, ProbeDepth::kEstimate);
  EXPECT_EQ(sources(timed), std::set<std::string>{"measured"});
  EXPECT_EQ(sources(kept), std::set<std::string>{"kept"});
  EXPECT_EQ(all_ns(kept), all_ns(timed));
}

// Another second would be spent on each.
TEST_F(CloseCosts, AreLeftWhereRunsAreLong) {
  machine_.speed = 1.0;
  expect_no_second_go(close_inputs());
}

// What is far off need not be told apart.
TEST_F(CloseCosts, AreNotThoseOfTwiceTheBytes) {
  ProblemInputs asked = close_inputs();
  asked.schemes[0] = *find_scheme("f32");
  expect_no_second_go(asked);
}

}  // namespace
}  // namespace tessera::e2e
