// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/contingency.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/planner/plan_file/plan_text.hpp"
#include "framework/planner/planner.hpp"
#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Contingency, LeavesNothingOnTheLostDevice) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  ASSERT_FALSE(made->file.contingencies.empty());
  for (const Contingency& contingency : made->file.contingencies) {
    const auto plan = apply_contingency(made->file, contingency);
    ASSERT_EQ(plan.ok(), contingency.failure.empty()) << contingency.lost;
    if (!plan.ok()) continue;
    ASSERT_EQ(plan->layers.size(), made->file.layers.size());
    for (const PlannedLayer& layer : plan->layers) {
      for (const auto& parts : layer.phases) {
        ASSERT_EQ(parts.size(), 1u) << layer.name;
        EXPECT_NE(parts[0].device, contingency.lost) << layer.name;
      }
    }
  }
}

TEST(Contingency, KeepsAPlanThatNeverHadTheLostDevice) {
  Problem problem = small_problem();
  problem.rules = {{"*", "big", "", false}};
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  const Contingency& contingency = made->file.contingencies.at(1);
  EXPECT_EQ(contingency.lost, "fast");
  const auto plan = apply_contingency(made->file, contingency);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_THAT(compare_plans(*plan, made->file), IsEmpty());
  // As if there had been no other device.
  const auto alone = make_plan(without_device(problem, 1), {});
  ASSERT_TRUE(alone.ok()) << alone.status().message();
  EXPECT_DOUBLE_EQ(contingency.objective, alone->file.objective_value);
}

TEST(Contingency, SaysWhyThereIsNone) {
  Contingency contingency;
  contingency.lost = "gpu";
  contingency.failure = "it is the only device";
  const auto plan = apply_contingency({}, contingency);
  EXPECT_EQ(plan.status().code(), TSR_FAILED_PRECONDITION);
  EXPECT_THAT(plan.status().message(), HasSubstr("only device"));
}

TEST(Contingency, NamesALayerThatItForgot) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  Contingency empty;
  empty.lost = "gpu";
  const auto plan = apply_contingency(made->file, empty);
  EXPECT_THAT(plan.status().message(),
              HasSubstr("says nothing of " + made->file.layers[0].name));
}

TEST(Contingency, MovesAllToOneDeviceInTheSchemesItHad) {
  const auto made = make_plan(small_problem(), {});
  ASSERT_TRUE(made.ok());
  const PlanFile moved = move_to_device(made->file, "cpu");
  for (size_t i = 0; i < moved.layers.size(); ++i) {
    const PlannedPart& part = moved.layers[i].phases[kDecode].at(0);
    EXPECT_EQ(part.device, "cpu");
    EXPECT_EQ(part.scheme, made->file.layers[i].phases[kDecode].at(0).scheme);
  }
}

}  // namespace
}  // namespace tessera::planner
