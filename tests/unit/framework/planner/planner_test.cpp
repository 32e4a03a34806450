// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/planner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/planner/baselines.hpp"
#include "framework/planner/plan_file/plan_text.hpp"
#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const PlannedLayer& layer(const PlanFile& plan, const std::string& name) {
  for (const PlannedLayer& entry : plan.layers) {
    if (entry.name == name) return entry;
  }
  ADD_FAILURE() << "no layer " << name;
  return plan.layers.front();
}

// One layer in half precision takes 1010 bytes, and no more than 280 for what
// passes to it, 16 at the peak; two do not fit.
TEST(MakePlan, FillsTheFastDevice) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_LE(made->file.memory.at("fast"), 1'400U);
  EXPECT_GT(made->file.memory.at("fast"), 1'000U);
  EXPECT_LE(made->file.gap, 1e-9);
}

TEST(MakePlan, KeepsTheClocksApart) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  EXPECT_GT(made->file.prefill_ns.at("wall"), 0.0);
  EXPECT_GT(made->file.prefill_ns.at("simulated"), 0.0);
}

TEST(MakePlan, KeepsTheAccuracyBudget) {
  Problem problem = small_problem();
  problem.limits.kl = 0.025;
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok());
  EXPECT_DOUBLE_EQ(made->file.kl_predicted, 0.02);
}

TEST(MakePlan, ObeysPinsAndBans) {
  Problem problem = small_problem();
  problem.rules = {{"layers.1*", "big", "", false},
                   {"*.down", "", "half", true}};
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  const PlanFile& plan = made->file;
  EXPECT_EQ(layer(plan, "layers.1").phases[0][0].device, "big");
  EXPECT_EQ(layer(plan, "layers.0.down").phases[0][0].scheme, "exact");
  EXPECT_EQ(layer(plan, "layers.1.up").phases[0][0].scheme, "half");
}

TEST(MakePlan, NamesTheLimitsThatClashAndByHowMuch) {
  Problem problem = small_problem();
  problem.limits.kl = 0.0;
  problem.pools[0].bytes = 3'000;
  const auto made = make_plan(problem, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_THAT(made.status().message(), HasSubstr("memory of big needs"));
  EXPECT_THAT(made.status().message(), HasSubstr("KL needs at least"));
  EXPECT_THAT(made.status().message(), HasSubstr("too little"));
}

TEST(MakePlan, SaysWhyNoDeviceRunsALayer) {
  Problem problem = small_problem();
  problem.linear_classes[0].cells.clear();
  const auto made = make_plan(problem, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), TSR_UNIMPLEMENTED);
  EXPECT_THAT(made.status().message(), HasSubstr("fast other: no kernel"));
}

TEST(MakePlan, HasAPlanForTheLossOfEachDevice) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->file.contingencies.size(), 2U);
  // The fast device is too small for the whole model.
  EXPECT_THAT(made->file.contingencies[0].failure, HasSubstr("memory of fast"));
  EXPECT_THAT(made->file.contingencies[1].failure, IsEmpty());
  for (const Contingency::Layer& one : made->file.contingencies[1].layers) {
    EXPECT_EQ(one.devices[0], "big");
  }
}

// What is not the best choice for one layer alone costs that much more.
TEST(MakePlan, MarginsAreWhatTheSecondBestCosts) {
  Problem problem = small_problem();
  problem.devices.pop_back();
  problem.pools.pop_back();
  problem.transfers.clear();
  problem.linear_classes[0].cells.resize(2);
  problem.linear_classes[0].refusals.clear();
  problem.segment_classes[0].sites.pop_back();
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  const PlannedLayer& up = layer(made->file, "layers.0.up");
  EXPECT_EQ(up.second, "big exact");
  // Prefill once and four decode steps, at half the time each.
  EXPECT_DOUBLE_EQ(*up.margin_ns, 5000.0 + 4.0 * 500.0);
}

TEST(MakePlan, IsTheSameByteForByte) {
  const auto a = make_plan(small_problem(), {});
  const auto b = make_plan(small_problem(), {});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(write_plan(a->file), write_plan(b->file));
}

TEST(FindBaselines, AreNeverBetterThanThePlan) {
  for (const Objective objective : {Objective::kLatency, Objective::kThroughput,
                                    Objective::kEnergy, Objective::kMemory}) {
    Problem problem = small_problem();
    problem.objective = objective;
    const auto made = make_plan(problem, {});
    ASSERT_TRUE(made.ok());
    const auto baselines = find_baselines(problem, {});
    ASSERT_TRUE(baselines.ok());
    ASSERT_EQ(baselines->size(), 5U);
    for (const Baseline& baseline : *baselines) {
      if (!baseline.feasible) continue;
      EXPECT_GE(baseline.prediction.objective,
                made->file.objective_value * (1.0 - 1e-9))
          << baseline.name << " " << objective_name(objective);
    }
  }
}

TEST(PlanText, ExplainsALayerAndComparesPlans) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  const auto text = explain_layers(made->file, "layers.0.up");
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(*text, HasSubstr("refused  fast other: no kernel"));
  const auto segment = explain_layers(made->file, "layers.0");
  ASSERT_TRUE(segment.ok());
  EXPECT_THAT(*segment, ContainsRegex("worse by [0-9.]+ ms at least"));
  EXPECT_FALSE(explain_layers(made->file, "layers.9").ok());
  EXPECT_THAT(compare_plans(made->file, made->file), IsEmpty());

  Problem other = small_problem();
  other.rules = {{"layers.*", "big", "", false}};
  const auto moved = make_plan(other, {});
  ASSERT_TRUE(moved.ok());
  EXPECT_FALSE(compare_plans(made->file, moved->file).empty());
}

}  // namespace
}  // namespace tessera::planner
