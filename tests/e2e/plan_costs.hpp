// SPDX-License-Identifier: Apache-2.0
//
// A machine whose speed is known, and a database of what it took.

#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "framework/model/build_graph.hpp"
#include "framework/planner/planner.hpp"
#include "framework/planner/solver/solve.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "tests/e2e/loaded_model.hpp"

namespace tessera::e2e {

using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

inline constexpr auto kNever = [] { return false; };

// A run takes as long as its tokens and the bytes of its weights say, times
// what else the machine does.
struct FakeMachine {
  double speed = 1.0;
  std::function<double(uint32_t)> load = [](uint32_t) { return 1.0; };
  bool others_run = false;
  uint32_t runs = 0;  // of stages with weights
  // A stage takes the same whatever is in it, so two take more than what was
  // timed as one.
  bool by_stage = false;
  double head_share = 0.125;  // of what whole stages take beyond their begin
  double last_ns = 0.0;

  Result<double> time(Stage& stage, const StepSize& size) {
    const auto bytes = static_cast<double>(stage.memory().weight_bytes);
    last_ns = 0.0;
    if (bytes == 0.0) return 1e12;
    last_ns = by_stage ? 1e15 * size.num_tokens
                       : 1e9 * bytes * size.num_tokens / speed * load(runs++);
    return 1e12 + last_ns;
  }

  Result<double> time_front() const {
    return 1e12 + (1.0 - head_share) * last_ns;
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
    probe.timer.watch = [this] {
      return [this] { return machine_.others_run; };
    };
    probe.timer.time = [this](Stage& stage, const StepSize& size) {
      return machine_.time(stage, size);
    };
    probe.timer.front = [this](Stage&, const StepSize&) {
      return machine_.time_front();
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

}  // namespace tessera::e2e
