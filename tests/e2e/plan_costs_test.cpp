// SPDX-License-Identifier: Apache-2.0
//
// Costs of plans on a machine whose speed is known: what is kept, when it is
// believed, and what is timed anew.

#include "tests/e2e/plan_costs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "framework/tuning/plan/plan_timing.hpp"

namespace tessera::e2e {
namespace {

// Of sums of shares.
constexpr double kRounding = 1e-6;

TEST_F(PlanCosts, AreTimedOnceWhileTheyHold) {
  const ProblemInputs asked = inputs();
  ProblemMaker first(asked);
  Problem before = make(first);
  EXPECT_EQ(sources(before), std::set<std::string>{"measured"});
  EXPECT_GT(first.counts().measured, 0U);
  EXPECT_EQ(first.counts().busy, 0U);
  EXPECT_EQ(refine(first, before), 0U);

  ProblemMaker second(asked);
  Problem after = make(second);
  EXPECT_EQ(sources(after), std::set<std::string>{"kept"});
  const uint32_t runs = machine_.runs;
  EXPECT_EQ(refine(second, after), 0U);
  EXPECT_GT(machine_.runs, runs) << "a sentinel was timed";
  EXPECT_TRUE(second.drifts(after).empty());
  EXPECT_EQ(second.counts().measured, 0U) << "and what is kept was believed";
  EXPECT_EQ(sources(after), std::set<std::string>{"kept"});
  const uint32_t checked = machine_.runs;
  EXPECT_EQ(refine(second, after), 0U);
  EXPECT_EQ(machine_.runs, checked) << "once a planning";
  for (size_t i = 0; i < after.linear_classes.size(); ++i) {
    for (size_t c = 0; c < after.linear_classes[i].cells.size(); ++c) {
      EXPECT_EQ(after.linear_classes[i].cells[c].costs[kDecode]->ns,
                before.linear_classes[i].cells[c].costs[kDecode]->ns);
    }
  }
}

TEST_F(PlanCosts, AreTimedAnewOnceTheMachineHasChanged) {
  const ProblemInputs asked = inputs();
  ProblemMaker first(asked);
  make(first);
  machine_.speed = 0.5;
  ProblemMaker second(asked);
  Problem problem = make(second);
  uint32_t rounds = 0;
  while (refine(second, problem) > 0) ++rounds;
  EXPECT_GT(rounds, 0U);
  ASSERT_TRUE(second.measure_rest(kNever, problem).ok());
  second.end_optimism(problem);
  const std::vector<CostDrift> drifts = second.drifts(problem);
  ASSERT_EQ(drifts.size(), 1U);
  EXPECT_EQ(drifts[0].device, device_->name());
  EXPECT_NEAR(drifts[0].ratio[kPrefill], 2.0, 2.0 * kRounding);
  EXPECT_NEAR(drifts[0].ratio[kDecode], 2.0, 2.0 * kRounding);
  EXPECT_GT(drifts[0].num_kept, 0U);
  EXPECT_EQ(drifts[0].num_left, 0U);
  EXPECT_THAT(sources(problem), testing::Not(testing::Contains("stale")));

  // And the new times are what is kept from now on.
  ProblemMaker third(asked);
  Problem again = make(third);
  EXPECT_EQ(refine(third, again), 0U);
  EXPECT_TRUE(third.drifts(again).empty());
}

// What a plan takes beyond the beginning of its program, by phase.
std::array<double, 2> predicted_ns(const Problem& problem,
                                   const planner::Assignment& assignment) {
  constexpr double kBeginNs = 1e12;  // of a FakeMachine
  const auto built = planner::build_chain(problem);
  EXPECT_TRUE(built.ok()) << built.status().message();
  const auto found = planner::predict(problem, *built, assignment);
  EXPECT_TRUE(found.ok()) << found.status().message();
  return {found->prefill_ns.at("wall") - kBeginNs,
          found->decode_ns.at("wall") - kBeginNs};
}

TEST_F(PlanCosts, AreThoseOfTheMachineAsItIsWhereTimedAgain) {
  ProblemInputs asked = inputs();
  asked.schemes = {*find_scheme("w8a8_dynamic")};
  const auto time_again = [&](const char* made_of) {
    ProblemMaker maker(asked);
    const Problem before = make(maker);
    EXPECT_EQ(sources(before), std::set<std::string>{made_of});
    const auto made = planner::make_plan(before, {{}, false, false});
    ASSERT_TRUE(made.ok()) << made.status().message();
    machine_.speed /= 2.0;
    Problem now = before;
    const Status timed = maker.measure_again(made->assignment, now);
    ASSERT_TRUE(timed.ok()) << timed.message();
    const auto then_ns = predicted_ns(before, made->assignment);
    const auto now_ns = predicted_ns(now, made->assignment);
    for (const uint32_t phase : {kPrefill, kDecode}) {
      EXPECT_NEAR(now_ns[phase], 2.0 * then_ns[phase],
                  kRounding * now_ns[phase]);
    }
  };
  time_again("measured");
  // As they were timed last.
  time_again("kept");
}

// What the plan does not use has changed by as much, so far as is known.
TEST_F(PlanCosts, OfAMachineThatHasChangedAreOfItsNewSpeed) {
  ProblemInputs asked = inputs();
  asked.schemes = {*find_scheme("w8a8_dynamic"), *find_scheme("f32")};
  ProblemMaker maker(asked);
  const Problem before = make(maker);
  const auto made = planner::make_plan(before, {{}, false, false});
  ASSERT_TRUE(made.ok()) << made.status().message();
  machine_.speed /= 2.0;
  Problem now = before;
  const Status timed = maker.measure_anew(made->assignment, {2.0, 2.0}, now);
  ASSERT_TRUE(timed.ok()) << timed.message();
  // The embedding is timed by itself, where a plan uses it.
  EXPECT_EQ(refine(maker, now), 1U);
  EXPECT_EQ(refine(maker, now), 0U);
  maker.end_optimism(now);
  const auto then_ns = predicted_ns(before, made->assignment);
  const auto now_ns = predicted_ns(now, made->assignment);
  for (const uint32_t phase : {kPrefill, kDecode}) {
    EXPECT_NEAR(now_ns[phase], 2.0 * then_ns[phase], kRounding * now_ns[phase]);
  }
  EXPECT_EQ(sources(now), (std::set<std::string>{"measured", "stale"}));
  for (size_t i = 0; i < now.linear_classes.size(); ++i) {
    const auto& cells = now.linear_classes[i].cells;
    for (size_t c = 0; c < cells.size(); ++c) {
      const planner::Cost& cost = *cells[c].costs[kDecode];
      if (cost.source != "stale") continue;
      const double was = before.linear_classes[i].cells[c].costs[kDecode]->ns;
      EXPECT_NEAR(cost.ns, 2.0 * was, kRounding * cost.ns);
    }
  }
}

TEST_F(PlanCosts, ThatHaveDriftedAreScaledWhereTimeIsUp) {
  const ProblemInputs asked = inputs();
  ProblemMaker first(asked);
  const Problem before = make(first);
  machine_.speed = 0.8;
  ProblemMaker second(asked);
  Problem problem = make(second);
  const uint32_t runs = machine_.runs;
  // The sentinels are as far as time goes.
  while (refine(second, problem, [&] { return machine_.runs > runs; }) > 0) {
  }
  second.end_optimism(problem);
  const std::vector<CostDrift> drifts = second.drifts(problem);
  ASSERT_EQ(drifts.size(), 1U);
  EXPECT_GT(drifts[0].num_left, 0U);
  EXPECT_LT(drifts[0].num_left, drifts[0].num_kept) << "one was timed";
  uint32_t num_stale = 0;
  for (size_t i = 0; i < problem.linear_classes.size(); ++i) {
    for (size_t c = 0; c < problem.linear_classes[i].cells.size(); ++c) {
      const planner::Cost& now =
          *problem.linear_classes[i].cells[c].costs[kDecode];
      const planner::Cost& then =
          *before.linear_classes[i].cells[c].costs[kDecode];
      if (now.source != "stale") continue;
      ++num_stale;
      EXPECT_NEAR(now.ns, 1.25 * then.ns, kRounding * then.ns);
    }
  }
  EXPECT_GT(num_stale, 0U);
}

// Multiplies all that a device takes.
void slow_down(uint32_t device, double factor, Problem& problem) {
  const auto slow = [factor](auto& costs) {
    for (auto& cost : costs) {
      if (cost) cost->ns *= factor;
    }
  };
  for (auto& entry : problem.linear_classes) {
    for (auto& cell : entry.cells) {
      if (cell.host == device) slow(cell.costs);
    }
  }
  for (auto& entry : problem.segment_classes) {
    for (auto& site : entry.sites) {
      if (site.device == device) slow(site.costs);
    }
  }
}

// Where the cost of a linear on a device in a scheme comes from.
std::string source_of(const Problem& problem, const std::string& name,
                      uint32_t device, const std::string& scheme) {
  for (const auto& segment : problem.segments) {
    for (const auto& linear : segment.linears) {
      if (linear.name != name) continue;
      for (const auto& cell :
           problem.linear_classes[linear.linear_class].cells) {
        if (cell.host == device && problem.schemes[cell.scheme] == scheme) {
          return cell.costs[kDecode]->source;
        }
      }
    }
  }
  return "";
}

// The second device is too slow by what it says for any plan but the one for
// the loss of the first.
TEST_F(PlanCosts, OfPlansForTheLossOfADeviceAreTimedToo) {
  ProblemInputs asked = inputs();
  auto other = open_cpu({}, true);
  ASSERT_TRUE(other.ok()) << other.status().message();
  asked.devices.push_back(*other);
  asked.probe.store = nullptr;
  ProblemMaker maker(asked);
  Problem problem = make(maker, ProbeDepth::kEstimate);
  problem.devices[1].name = "slow";
  slow_down(1, 1e15, problem);
  ASSERT_EQ(sources(problem), std::set<std::string>{"estimate"});
  ASSERT_TRUE(time_plans(maker, kNever, problem).ok());

  const auto made = planner::make_plan(problem, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  for (const auto& layer : made->file.layers) {
    EXPECT_NE(layer.phases[kDecode][0].device, "slow") << layer.name;
  }
  ASSERT_EQ(made->file.contingencies.size(), 2U);
  const planner::Contingency& loss = made->file.contingencies[0];
  EXPECT_EQ(loss.lost, device_->name());
  ASSERT_EQ(loss.failure, "");
  uint32_t num_linears = 0;
  for (const auto& layer : loss.layers) {
    EXPECT_EQ(layer.devices[kDecode], "slow") << layer.name;
    if (layer.schemes[kDecode].empty()) continue;
    ++num_linears;
    EXPECT_EQ(source_of(problem, layer.name, 1, layer.schemes[kDecode]),
              "measured")
        << layer.name << " in " << layer.schemes[kDecode];
  }
  // The head is no linear of a layer.
  EXPECT_EQ(num_linears, graph_.weights.size() - 1);
}

struct PromptSteps : PlanCosts {
  // Of a prompt batch, by what the machine takes for each token.
  double prefill_ns(const planner::Workload& workload, bool head = false) {
    const auto graph = build_graph(model_->config, 1024);
    EXPECT_TRUE(graph.ok()) << graph.status().message();
    ProbeOptions probing = options();
    probing.workload = workload;
    probing.store = nullptr;
    probing.timer.time = [this](Stage& stage, const StepSize& size) {
      if (size.num_decode_tokens == 0) steps_.insert(size_text(size));
      return machine_.time(stage, size);
    };
    steps_.clear();
    CostProbe probe(*graph, model_->source, probing);
    const std::vector<GraphSegment> segments = cut_segments(*graph);
    auto cost = probe.probe(device_, head ? segments.back() : segments[1],
                            *find_scheme("w8a8_dynamic"));
    EXPECT_TRUE(cost.ok()) << cost.status().message();
    return cost.ok() ? cost->total(kPrefill).ns : 0.0;
  }
  double head_ns(const planner::Workload& workload) {
    return prefill_ns(workload, true);
  }

  static std::string size_text(const StepSize& size) {
    return std::to_string(size.num_tokens) + " tokens of " +
           std::to_string(size.num_seqs) + ", context " +
           std::to_string(size.max_seq_len);
  }

  std::set<std::string> steps_;  // that were timed
};

// Sessions take 512 tokens a step, one prompt after the other.
TEST_F(PromptSteps, AreThoseThatASessionTakes) {
  using Steps = std::set<std::string>;
  prefill_ns({100, 8, 1});
  EXPECT_EQ(steps_, (Steps{"100 tokens of 1, context 100"}));
  prefill_ns({100, 8, 4});
  EXPECT_EQ(steps_, (Steps{"400 tokens of 4, context 100"}));
  prefill_ns({512, 8, 4});
  EXPECT_EQ(steps_, (Steps{"512 tokens of 1, context 512"}));
  // Its tokens see as many others as all 900 do in the mean.
  prefill_ns({900, 8, 1});
  EXPECT_EQ(steps_, (Steps{"512 tokens of 1, context 706"}));
  prefill_ns({300, 8, 4});
  EXPECT_EQ(steps_, (Steps{"512 tokens of 2, context 278"}));
}

TEST_F(PromptSteps, CostByTheTokensThatTheyTake) {
  const double one = prefill_ns({512, 8, 1});
  EXPECT_NEAR(prefill_ns({512, 8, 3}), 3.0 * one, kRounding * one);
  EXPECT_NEAR(prefill_ns({768, 8, 1}), 1.5 * one, kRounding * one);
  EXPECT_NEAR(prefill_ns({128, 8, 1}), 0.25 * one, kRounding * one);
}

// Runs are: one to warm up and five rounds of prefill, then those of decode.
// Its rows are those that the last step of a prompt asks for.
TEST_F(PromptSteps, HaveOneHead) {
  const double one = head_ns({512, 8, 1});
  EXPECT_NEAR(head_ns({900, 8, 1}), one, kRounding * one);
  EXPECT_NEAR(head_ns({512, 8, 3}), 3.0 * one, kRounding * one);
}

TEST_F(PlanCosts, OfABusyMachineAreNotKept) {
  machine_.load = [](uint32_t run) { return 1.0 + run % 5; };
  EXPECT_EQ(probe_one().own[kDecode].source, "measured");
  EXPECT_EQ(counts_.busy, 1U);
  machine_.load = [](uint32_t) { return 1.0; };
  EXPECT_EQ(probe_one().own[kDecode].source, "measured") << "timed again";
  EXPECT_EQ(counts_.busy, 0U);
  EXPECT_EQ(probe_one().own[kDecode].source, "kept");
}

}  // namespace
}  // namespace tessera::e2e
