// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/challenge_forecast.hpp"

#include <gtest/gtest.h>

namespace tessera::cli {
namespace {

constexpr double kMs = 1e6;

// A linear in a small and a large scheme, in a chain of two segments.
planner::Problem two_linears() {
  planner::Problem problem;
  problem.workload = {80, 100, 1};
  planner::LinearClass entry;
  for (const uint64_t bytes : {1000, 3000}) {
    planner::Cell cell;
    cell.parts = {{0, 0, 1, bytes, {}}};
    entry.cells.push_back(cell);
  }
  problem.linear_classes = {entry};
  for (const char* name : {"a", "b"}) {
    problem.segments.push_back({name, 0, 0, {}, {{name, 0, {}}}});
  }
  return problem;
}

planner::Assignment cells(uint32_t a, uint32_t b) {
  planner::Assignment plan;
  for (const uint32_t c : {a, b}) {
    plan.segments.push_back({{}, {}, {{{c, c}}}});
  }
  return plan;
}

planner::Prediction takes(double prefill_ms, double step_ms) {
  planner::Prediction prediction;
  prediction.prefill_ns["wall"] = prefill_ms * kMs;
  prediction.decode_ns["wall"] = step_ms * kMs;
  return prediction;
}

TEST(WeightsSeen, CountsEachWeightOnce) {
  const planner::Problem problem = two_linears();
  WeightsSeen seen(problem);
  EXPECT_EQ(seen.add(cells(0, 1)), 4000U);
  EXPECT_EQ(seen.add(cells(0, 1)), 0U);
  EXPECT_EQ(seen.add(cells(0, 0)), 1000U);
  EXPECT_EQ(seen.add(cells(1, 1)), 3000U);
}

class Forecast : public ::testing::Test {
 protected:
  Forecast() {
    own_.assignment = cells(0, 0);
    own_.prediction = takes(80, 10);  // 10 steps of 100 ms, 1,080 in all
    work_.at_once = 2;
    work_.own_load_ns = 200 * kMs;  // 0.1 ms a byte
  }

  double ms(const std::vector<planner::Rival>& rivals) const {
    std::vector<const planner::Rival*> pointers;
    for (const planner::Rival& rival : rivals) pointers.push_back(&rival);
    return forecast(problem_, own_, pointers, work_) / kMs;
  }

  // Two trials of an eighth of the prompt and three steps, three runs.
  static constexpr double kOwnSlice = 2 * (10 + 30) + 3 * (80 + 100);

  planner::Problem problem_ = two_linears();
  Contender own_;
  ChallengeWork work_;
};

TEST_F(Forecast, AddsUpLoadsTrialsAndRuns) {
  const planner::Rival equal{"move", "0", cells(0, 1), takes(80, 10)};
  EXPECT_NEAR(ms({equal}), 300 + 2 * kOwnSlice, 1e-6);
  // What the one has loaded the other has.
  EXPECT_NEAR(ms({equal, equal}), 300 + 3 * kOwnSlice, 1e-6);
  EXPECT_NEAR(ms({equal, equal, equal}), 300 + 5 * kOwnSlice, 1e-6);
}

TEST_F(Forecast, KnowsWhoRunsOnceOrNotAtAll) {
  const planner::Rival slow{"random", "0", cells(0, 0), takes(160, 20)};
  EXPECT_NEAR(ms({slow}), kOwnSlice + 2 * 80 + 360, 1e-6);
  const planner::Rival hopeless{"random", "1", cells(0, 0), takes(320, 40)};
  EXPECT_NEAR(ms({hopeless}), kOwnSlice + 2 * 160, 1e-6);
}

TEST_F(Forecast, HasTheRacesOfTheFastest) {
  const planner::Rival equal{"move", "0", cells(0, 0), takes(80, 10)};
  const double screening = ms({equal});
  work_.races = {{5, {6, 2, 0.0}}};
  // The plan and the only rival.
  EXPECT_NEAR(ms({equal}) - screening, 6 * (200 + 2 * (40 + 2 * 180)), 1e-6);
}

}  // namespace
}  // namespace tessera::cli
