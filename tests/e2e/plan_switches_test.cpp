// SPDX-License-Identifier: Apache-2.0
//
// What plans lose where they change device, on a machine whose speed is known.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "framework/tuning/plan/plan_timing.hpp"
#include "framework/tuning/plan/problem_costs.hpp"
#include "tests/e2e/plan_costs.hpp"

namespace tessera::e2e {
namespace {

// A run takes more where another device ran before it.
struct FakeEntries {
  FakeMachine& machine;
  std::map<const Device*, double> entry_ns;
  const Device* last = nullptr;

  Result<double> time(Stage& stage, const StepSize& size) {
    TSR_ASSIGN_OR_RETURN(double ns, machine.time(stage, size));
    step_tokens.push_back(0);
    if (last != &stage.device()) ns += entry_ns.at(&stage.device());
    last = &stage.device();
    return ns;
  }

  // In a plan's own steps all entries take more.
  Result<std::vector<double>> step(const StageSet& stages,
                                   const StepSize& size) {
    std::vector<double> ns;
    bytes_in_step = 0;
    step_tokens.push_back(size.num_tokens);
    for (const std::unique_ptr<Stage>& stage : stages.stages()) {
      bytes_in_step += stage->memory().weight_bytes;
      const bool enters = last != &stage->device();
      TSR_ASSIGN_OR_RETURN(const double one, time(*stage, size));
      step_tokens.pop_back();
      ns.push_back(one + (enters ? more_in_step : 0.0));
    }
    return ns;
  }
  double more_in_step = 0.0;
  uint64_t bytes_in_step = 0;           // of the last one
  std::vector<uint32_t> step_tokens{};  // of all steps; 0: a stage by itself
};

// What beginning a program takes on that machine.
constexpr double kStartNs = 1e12;
// Copies and records are real ones.
constexpr double kCopyNs = 1e8;

class SwitchCosts : public PlanCosts {
 protected:
  void SetUp() override {
    PlanCosts::SetUp();
    auto other = open_cpu({}, true);
    ASSERT_TRUE(other.ok()) << other.status().message();
    other_ = std::move(*other);
    set(7e9, 3e9);
  }

  void set(double into_first, double into_second) {
    entries_.entry_ns = {{device_.get(), into_first},
                         {other_.get(), into_second}};
  }

  Problem problem_with(uint32_t prompt, bool keeps, bool remeasure) {
    ProblemInputs asked = inputs();
    asked.devices.push_back(other_);
    asked.probe.workload.prompt = prompt;
    asked.probe.remeasure = remeasure;
    if (!keeps) asked.probe.store = nullptr;
    asked.probe.timer.time = [this](Stage& stage, const StepSize& size) {
      return entries_.time(stage, size);
    };
    ProblemMaker maker(asked);
    return make(maker, ProbeDepth::kEstimate);
  }

  // By the direction, at the size of a phase.
  std::map<std::pair<uint32_t, uint32_t>, double> switches(
      uint32_t phase, uint32_t prompt, bool keeps, bool remeasure = false) {
    const Problem problem = problem_with(prompt, keeps, remeasure);
    std::map<std::pair<uint32_t, uint32_t>, double> found;
    for (const planner::TransferCurve& curve : problem.transfers) {
      found[{curve.from, curve.to}] =
          curve.ns(problem.segments.front().out_bytes[phase]);
    }
    EXPECT_EQ(found.size(), 2U);
    return found;
  }

  std::shared_ptr<Device> other_;
  FakeEntries entries_{machine_, {}};
};

TEST_F(SwitchCosts, AreThoseOfTheDeviceThatIsEntered) {
  for (const uint32_t phase : {kPrefill, kDecode}) {
    auto found = switches(phase, 32, false);
    EXPECT_NEAR((found[{1, 0}]), kStartNs + 7e9, kCopyNs) << phase;
    EXPECT_NEAR((found[{0, 1}]), kStartNs + 3e9, kCopyNs) << phase;
  }
}

TEST_F(SwitchCosts, AreChargedForEachStepOfAPrompt) {
  auto found = switches(kPrefill, 1200, false);  // 512 + 512 + 176
  EXPECT_NEAR((found[{1, 0}]), 3 * (kStartNs + 7e9), 3 * kCopyNs);
  found = switches(kDecode, 1200, false);
  EXPECT_NEAR((found[{1, 0}]), kStartNs + 7e9, kCopyNs);
}

TEST_F(SwitchCosts, AreKept) {
  // Both devices are one to the store.
  set(5e9, 5e9);
  const auto before = switches(kDecode, 32, true);
  set(9e9, 9e9);
  for (const auto& [pair, ns] : switches(kDecode, 32, true)) {
    EXPECT_NEAR(ns, before.at(pair), kCopyNs);
  }
  auto anew = switches(kDecode, 32, true, true);
  EXPECT_NEAR((anew[{0, 1}]), kStartNs + 9e9, kCopyNs);
}

// This machine's runs take no longer while the host copies; all else that an
// entry takes is its own.
TEST_F(SwitchCosts, HideTheCopyAndNoMore) {
  const auto overlaps = [&](bool remeasure) {
    std::vector<double> found;
    const Problem problem = problem_with(32, true, remeasure);
    for (const planner::TransferCurve& curve : problem.transfers) {
      const double ns = curve.ns(problem.segments.front().out_bytes[kDecode]);
      EXPECT_GT(curve.overlap * ns, 0.0);
      EXPECT_LT(curve.overlap * ns, kCopyNs);
      found.push_back(curve.overlap);
    }
    return found;
  };
  const std::vector<double> measured = overlaps(true);
  ASSERT_EQ(measured.size(), 2U);
  // Both devices are one to the store, which has the last direction.
  EXPECT_THAT(overlaps(false), testing::Each(measured[1]));
}

class StepLosses : public SwitchCosts {
 protected:
  // Of plans that begin on the first device and end on the other, and what one
  // phase of the best takes.
  struct Found {
    Problem problem;
    double ns = 0.0;
    uint32_t num_steps = 0;  // that were timed
  };

  using Then = std::function<void(ProblemMaker&, const planner::MadePlan&,
                                  const Problem&)>;

  Found find(uint32_t phase, uint32_t prompt = 32, const Then& then = {}) {
    ProblemInputs asked = inputs();
    asked.devices.push_back(other_);
    asked.probe.workload.prompt = prompt;
    asked.probe.timer.time = [this](Stage& stage, const StepSize& size) {
      return entries_.time(stage, size);
    };
    asked.probe.timer.step = [this](const StageSet& set, const StepSize& size) {
      return entries_.step(set, size);
    };
    ProblemMaker maker(asked);
    Found found;
    found.problem = make(maker);
    found.problem.devices[1].name = "other";
    for (const char* name : {"embedding", "layers.0.*", "layers.1.*"}) {
      found.problem.rules.push_back({name, device_->name(), "", false});
    }
    for (const char* name : {"layers.[2-9].*", "head"}) {
      found.problem.rules.push_back({name, "other", "", false});
    }
    EXPECT_TRUE(time_plans(maker, kNever, found.problem).ok());
    const auto made = planner::make_plan(found.problem, {{}, false, false});
    EXPECT_TRUE(made.ok()) << made.status().message();
    found.ns =
        (phase == kPrefill ? made->file.prefill_ns : made->file.decode_ns)
            .at("wall");
    found.num_steps = maker.counts().steps;
    if (then) then(maker, *made, found.problem);
    return found;
  }

  static const planner::TransferCurve& curve(const Problem& problem,
                                             uint32_t from) {
    return *std::find_if(
        problem.transfers.begin(), problem.transfers.end(),
        [from](const planner::TransferCurve& c) { return c.from == from; });
  }
};

// Times of its segments, though they are not what its stages take while others
// run, are left as they are.
TEST_F(StepLosses, AreThoseOfThePlansOwnSteps) {
  machine_.others_run = true;
  entries_.more_in_step = 5e9;
  entries_.machine.by_stage = true;
  const Problem problem = find(kDecode).problem;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const uint64_t bytes = problem.segments.front().out_bytes[phase];
    EXPECT_NEAR(curve(problem, 0).ns(bytes), kStartNs + 3e9 + 5e9, kCopyNs);
    EXPECT_NEAR(curve(problem, 1).return_ns[phase], 7e9 + 5e9, kCopyNs);
    // No plan went the other way, so pairs of devices speak for it.
    EXPECT_NEAR(curve(problem, 1).ns(bytes), kStartNs + 7e9, kCopyNs);
    EXPECT_NEAR(curve(problem, 0).return_ns[phase], 3e9, kCopyNs);
  }
}

TEST_F(StepLosses, AreChargedForEachStepOfAPrompt) {
  machine_.others_run = true;
  entries_.more_in_step = 5e9;
  entries_.machine.by_stage = true;
  auto graph = build_graph(model_->config, 1024);
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  graph_ = std::move(*graph);
  const Problem problem = find(kPrefill, 700).problem;  // 512 + 188
  EXPECT_NEAR(
      curve(problem, 0).ns(problem.segments.front().out_bytes[kPrefill]),
      2 * (kStartNs + 3e9 + 5e9), 2 * kCopyNs);
  EXPECT_NEAR(curve(problem, 1).return_ns[kPrefill], 2 * (7e9 + 5e9),
              2 * kCopyNs);
}

// What the stages take beyond their segments is shared out, so together they
// are what the step takes.
TEST_F(StepLosses, ExplainTheWholeStepAndAreKept) {
  set(0.0, 0.0);
  entries_.machine.speed = 1e9;
  entries_.more_in_step = 5e9;
  const Found before = find(kDecode);
  EXPECT_EQ(before.num_steps, 1U);
  EXPECT_NEAR(
      before.ns,
      2 * (kStartNs + 5e9) + static_cast<double>(entries_.bytes_in_step),
      kCopyNs);
  entries_.more_in_step = 50e9;
  const Found after = find(kDecode);
  EXPECT_EQ(after.num_steps, 0U);
  EXPECT_NEAR(after.ns, before.ns, kCopyNs);
}

// Nobody else made the stages take so much longer than their segments, so the
// plan will take it.
TEST_F(StepLosses, ExplainTheWholeStepOfAQuietMachineHoweverMuchItIs) {
  entries_.more_in_step = 5e9;
  entries_.machine.by_stage = true;
  const double stages = 2e15;
  EXPECT_NEAR(find(kDecode).ns, stages + 2 * (kStartNs + 5e9) + 7e9 + 3e9,
              kCopyNs);
}

// All cores are busy in a prompt, and some machines are quicker for a while
// after that.
TEST_F(StepLosses, AreOfDecodeStepsBehindAPrompt) {
  find(kDecode);
  const std::vector<uint32_t>& steps = entries_.step_tokens;
  uint32_t num_rounds = 0;
  for (size_t i = 1; i < steps.size(); ++i) {
    if (steps[i] != 1 || steps[i - 1] == 1) continue;
    EXPECT_EQ(steps[i - 1], 32U) << "step " << i;
    ++num_rounds;
  }
  EXPECT_GE(num_rounds, options().repeats);
}

// On a machine that takes longer than when it was planned for, by as much in
// each phase as its steps do.
TEST_F(StepLosses, AndAllElseCanBeScaledToWhatStepsTakeNow) {
  set(0.0, 0.0);
  entries_.machine.speed = 1e9;
  entries_.more_in_step = 5e9;
  find(
      kDecode, 32,
      [&](ProblemMaker& maker, const planner::MadePlan& made, Problem problem) {
        const auto same = maker.time_pace(made.assignment, problem);
        ASSERT_TRUE(same);
        EXPECT_THAT(*same, testing::Each(testing::DoubleNear(1.0, 1e-3)));
        entries_.more_in_step += 1e12;
        const auto pace = maker.time_pace(made.assignment, problem);
        ASSERT_TRUE(pace);
        scale_times(*pace, problem);
        const auto now = planner::make_plan(problem, {{}, false, false});
        ASSERT_TRUE(now.ok());
        EXPECT_NEAR(now->file.decode_ns.at("wall"),
                    made.file.decode_ns.at("wall") + 2e12, 1e-3 * 2e12);
        EXPECT_NEAR(now->file.prefill_ns.at("wall"),
                    made.file.prefill_ns.at("wall") + 2e12, 1e-3 * 2e12);
      });
}

TEST_F(StepLosses, HaveNoPaceOnOneDevice) {
  find(kDecode, 32,
       [&](ProblemMaker& maker, const planner::MadePlan&, Problem problem) {
         problem.rules = {{"*", device_->name(), "", false}};
         const auto one = planner::make_plan(problem, {{}, false, false});
         ASSERT_TRUE(one.ok());
         EXPECT_FALSE(maker.time_pace(one->assignment, problem));
       });
}

TEST_F(StepLosses, OfAMachineThatIsNotAsItWasAreNotKept) {
  set(0.0, 0.0);
  entries_.machine.by_stage = true;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(find(kDecode).num_steps, 1U);
}

}  // namespace
}  // namespace tessera::e2e
