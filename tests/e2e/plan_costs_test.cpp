// SPDX-License-Identifier: Apache-2.0
//
// Costs of plans on a machine whose speed is known: what is kept, when it is
// believed, and what is timed anew.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "framework/model/build_graph.hpp"
#include "framework/planner/planner.hpp"
#include "framework/planner/solver/solve.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/plan_timing.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {
namespace {

using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

constexpr auto kNever = [] { return false; };

// A run takes as long as its tokens and the bytes of its weights say, times
// what else the machine does.
struct FakeMachine {
  double speed = 1.0;
  std::function<double(uint32_t)> load = [](uint32_t) { return 1.0; };
  uint32_t runs = 0;  // of stages with weights
  // A stage takes the same whatever is in it, so two take more than what was
  // timed as one.
  bool by_stage = false;

  Result<double> time(Stage& stage, const StepSize& size) {
    const auto bytes = static_cast<double>(stage.memory().weight_bytes);
    if (bytes == 0.0) return 1e12;
    if (by_stage) return 1e12 + 1e15 * size.num_tokens;
    return 1e12 + 1e9 * bytes * size.num_tokens / speed * load(runs++);
  }

  // Every op alike, and little beside the run.
  static Result<std::vector<tsr_kernel_record>> record(Stage& stage,
                                                       const StepSize& size) {
    TSR_ASSIGN_OR_RETURN(auto records, record_on_device(stage, size));
    for (tsr_kernel_record& one : records) {
      one.begin_ns = 0;
      one.end_ns = 1000 * std::max(1U, one.num_ops);
    }
    return records;
  }
};

class PlanCosts : public ::testing::Test {
 protected:
  PlanCosts()
      : path_(testing::TempDir() + "/tessera_plan_costs_" +
              testing::UnitTest::GetInstance()->current_test_info()->name() +
              ".db") {
    std::filesystem::remove(path_);
  }
  ~PlanCosts() override { std::filesystem::remove(path_); }

  void SetUp() override {
    auto model = open_model(default_model_folder());
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_.emplace(std::move(*model));
    auto graph = build_graph(model_->config, 48);
    ASSERT_TRUE(graph.ok()) << graph.status().message();
    graph_ = std::move(*graph);
    auto device = open_cpu({}, false);
    ASSERT_TRUE(device.ok()) << device.status().message();
    device_ = std::move(*device);
    auto store = CostStore::open(path_);
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_.emplace(std::move(*store));
  }

  ProbeOptions options() {
    ProbeOptions probe;
    probe.workload = {32, 16, 1};
    probe.base = *find_scheme("f32");
    probe.store = &*store_;
    probe.timer.record = FakeMachine::record;
    probe.timer.time = [this](Stage& stage, const StepSize& size) {
      return machine_.time(stage, size);
    };
    return probe;
  }

  ProblemInputs inputs() {
    return {graph_,
            model_->source,
            {device_},
            {*find_scheme("f32"), *find_scheme("w8a8_dynamic"),
             *find_scheme("w4a16_g32")},
            options(),
            nullptr};
  }

  static Problem make(ProblemMaker& maker,
                      ProbeDepth depth = ProbeDepth::kMeasure) {
    auto problem = maker.make(depth);
    EXPECT_TRUE(problem.ok()) << problem.status().message();
    return std::move(*problem);
  }

  // Times what the best plan uses, as `tessera plan` does, once.
  static uint32_t refine(ProblemMaker& maker, Problem& problem,
                         const std::function<bool()>& is_late = kNever) {
    const auto built = planner::build_chain(problem);
    EXPECT_TRUE(built.ok()) << built.status().message();
    const planner::Solution solution = planner::solve_chain(built->chain, {});
    EXPECT_TRUE(solution.feasible);
    const auto timed = maker.measure_used(
        planner::to_assignment(problem, *built, solution.choice), is_late,
        problem);
    EXPECT_TRUE(timed.ok()) << timed.status().message();
    return *timed;
  }

  static std::set<std::string> sources(const Problem& problem) {
    std::set<std::string> found;
    for (const auto& entry : problem.linear_classes) {
      for (const auto& cell : entry.cells) {
        found.insert(cell.costs[kPrefill]->source);
        found.insert(cell.costs[kDecode]->source);
      }
    }
    for (const auto& entry : problem.segment_classes) {
      for (const auto& site : entry.sites) {
        found.insert(site.costs[kPrefill]->source);
      }
    }
    return found;
  }

  // Of the second segment, in w8a8_dynamic.
  SegmentCost probe_one(bool remeasure = false) {
    ProbeOptions probing = options();
    probing.remeasure = remeasure;
    CostProbe probe(graph_, model_->source, probing);
    const std::vector<GraphSegment> segments = cut_segments(graph_);
    auto cost = probe.probe(device_, segments[1], *find_scheme("w8a8_dynamic"));
    EXPECT_TRUE(cost.ok()) << cost.status().message();
    EXPECT_EQ(cost->refusal, "");
    counts_ = probe.counts();
    return std::move(*cost);
  }

  std::string path_;
  std::optional<Model> model_;
  Graph graph_;
  std::shared_ptr<Device> device_;
  std::optional<CostStore> store_;
  FakeMachine machine_;
  ProbeCounts counts_;
};

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
  ASSERT_TRUE(second.measure_stale(kNever, problem).ok());
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

// A run takes more where another device ran before it.
struct FakeEntries {
  FakeMachine machine;
  std::map<const Device*, double> entry_ns;
  const Device* last = nullptr;

  Result<double> time(Stage& stage, const StepSize& size) {
    TSR_ASSIGN_OR_RETURN(double ns, machine.time(stage, size));
    if (last != &stage.device()) ns += entry_ns.at(&stage.device());
    last = &stage.device();
    return ns;
  }

  // In a plan's own steps all entries take more.
  Result<std::vector<double>> step(const StageSet& stages,
                                   const StepSize& size) {
    std::vector<double> ns;
    bytes_in_step = 0;
    for (const std::unique_ptr<Stage>& stage : stages.stages()) {
      bytes_in_step += stage->memory().weight_bytes;
      const bool enters = last != &stage->device();
      TSR_ASSIGN_OR_RETURN(const double one, time(*stage, size));
      ns.push_back(one + (enters ? more_in_step : 0.0));
    }
    return ns;
  }
  double more_in_step = 0.0;
  uint64_t bytes_in_step = 0;  // of the last one
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

  // By the direction, at the size of a phase.
  std::map<std::pair<uint32_t, uint32_t>, double> switches(
      uint32_t phase, uint32_t prompt, bool keeps, bool remeasure = false) {
    ProblemInputs asked = inputs();
    asked.devices.push_back(other_);
    asked.probe.workload.prompt = prompt;
    asked.probe.remeasure = remeasure;
    if (!keeps) asked.probe.store = nullptr;
    asked.probe.timer.time = [this](Stage& stage, const StepSize& size) {
      return entries_.time(stage, size);
    };
    ProblemMaker maker(asked);
    const Problem problem = make(maker, ProbeDepth::kEstimate);
    std::map<std::pair<uint32_t, uint32_t>, double> found;
    for (const planner::TransferCurve& curve : problem.transfers) {
      found[{curve.from, curve.to}] =
          curve.ns(problem.segments.front().out_bytes[phase]);
    }
    EXPECT_EQ(found.size(), 2U);
    return found;
  }

  std::shared_ptr<Device> other_;
  FakeEntries entries_;
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

class StepLosses : public SwitchCosts {
 protected:
  // Of plans that begin on the first device and end on the other, and what one
  // phase of the best takes.
  struct Found {
    Problem problem;
    double ns = 0.0;
    uint32_t num_steps = 0;  // that were timed
  };

  Found find(uint32_t phase, uint32_t prompt = 32) {
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
    return found;
  }

  static const planner::TransferCurve& curve(const Problem& problem,
                                             uint32_t from) {
    return *std::find_if(
        problem.transfers.begin(), problem.transfers.end(),
        [from](const planner::TransferCurve& c) { return c.from == from; });
  }
};

// Times of its segments, though they are not what its stages take, are left as
// they are.
TEST_F(StepLosses, AreThoseOfThePlansOwnSteps) {
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

TEST_F(StepLosses, OfAMachineThatIsNotAsItWasAreNotKept) {
  set(0.0, 0.0);
  entries_.machine.by_stage = true;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(find(kDecode).num_steps, 1U);
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

TEST_F(PlanCosts, ALoudMinuteDoesNotStick) {
  const SegmentCost quiet = probe_one(true);
  machine_.runs = 0;
  machine_.load = [](uint32_t run) {
    return run % 6 == 2 || run % 6 == 3 ? 3.0 : 1.0;
  };
  const SegmentCost loud = probe_one(true);
  for (const uint32_t phase : {kPrefill, kDecode}) {
    EXPECT_NEAR(loud.total(phase).ns, quiet.total(phase).ns,
                kRounding * quiet.total(phase).ns);
  }
  EXPECT_EQ(counts_.busy, 0U);
  EXPECT_EQ(probe_one().own[kDecode].source, "kept");
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
