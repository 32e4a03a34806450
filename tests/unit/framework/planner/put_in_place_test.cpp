// SPDX-License-Identifier: Apache-2.0
//
// A plan that is chosen for another reason than its predicted cost.

#include <gtest/gtest.h>

#include "framework/planner/planner.hpp"
#include "framework/planner/rivals.hpp"
#include "tests/unit/framework/planner/small_problem.hpp"

namespace tessera::planner {
namespace {

TEST(PutInPlace, GivesTheFileOfTheOtherPlan) {
  const Problem problem = small_problem();
  const auto built = build_chain(problem);
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(built.ok() && made.ok());
  const auto rivals = find_rivals(problem, *made, {5, 20}, {});
  ASSERT_TRUE(rivals.ok()) << rivals.status().message();
  ASSERT_FALSE(rivals->empty());
  for (const Rival& rival : *rivals) {
    const auto placed =
        put_in_place(*made, rival.assignment, "it ran faster", problem, {});
    ASSERT_TRUE(placed.ok()) << placed.status().message();
    const PlanFile& file = placed->file;
    EXPECT_EQ(placed->assignment, rival.assignment);
    EXPECT_EQ(file.in_place, "it ran faster");
    EXPECT_EQ(file.objective_value, rival.prediction.objective);
    EXPECT_EQ(file.decode_ns, rival.prediction.decode_ns);
    EXPECT_EQ(file.lower_bound, made->file.lower_bound);
    EXPECT_GE(file.gap, made->file.gap);
    EXPECT_EQ(file.contingencies.size(), problem.devices.size());
    const PlanFile decided = plan_of(problem, *built, rival.assignment);
    ASSERT_EQ(file.layers.size(), decided.layers.size());
    for (size_t i = 0; i < file.layers.size(); ++i) {
      for (const uint32_t phase : {kPrefill, kDecode}) {
        const PlannedPart& part = file.layers[i].phases[phase].front();
        const PlannedPart& wanted = decided.layers[i].phases[phase].front();
        EXPECT_EQ(part.device, wanted.device) << file.layers[i].name;
        EXPECT_EQ(part.scheme, wanted.scheme) << file.layers[i].name;
      }
      EXPECT_GE(file.layers[i].margin_ns.value_or(0.0), 0.0);
    }
    const std::string text = write_plan(file);
    const auto read = read_plan(text, "plan.json");
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(write_plan(*read), text);
  }
}

TEST(PutInPlace, ChangesNothingButTheReasonOfThePlanItself) {
  const Problem problem = small_problem();
  const auto made = make_plan(problem, {});
  ASSERT_TRUE(made.ok());
  auto placed = put_in_place(*made, made->assignment, "why", problem, {});
  ASSERT_TRUE(placed.ok()) << placed.status().message();
  EXPECT_NE(write_plan(placed->file), write_plan(made->file));
  placed->file.in_place.clear();
  EXPECT_EQ(write_plan(placed->file), write_plan(made->file));
}

}  // namespace
}  // namespace tessera::planner
