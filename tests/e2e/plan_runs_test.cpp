// SPDX-License-Identifier: Apache-2.0
//
// How runs and records become the costs of ops: on a machine whose speed is
// known.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/e2e/plan_costs.hpp"

namespace tessera::e2e {
namespace {

// Of sums of shares.
constexpr double kRounding = 1e-6;

// Records say that all ops are alike, and runs that the head is most of them:
// so a plan of more layers than were timed, which has one head too, is right.
TEST_F(PlanCosts, OfTheHeadAreWhatTheLayersAloneDoNotTake) {
  machine_.head_share = 0.75;
  ProbeOptions probing = options();
  probing.store = nullptr;
  CostProbe probe(graph_, model_->source, probing);
  const std::vector<GraphSegment> segments = cut_segments(graph_);
  double layers = 0.0;
  double head = 0.0;
  for (size_t i = 1; i < segments.size(); ++i) {
    const auto cost =
        probe.probe(device_, segments[i], *find_scheme("w8a8_dynamic"));
    ASSERT_TRUE(cost.ok()) << cost.status().message();
    (i + 1 < segments.size() ? layers : head) += cost->total(kDecode).ns;
  }
  EXPECT_NEAR(head, 3.0 * layers, kRounding * head);
}

// The op of the first layer that multiplies by a weight.
uint32_t op_of(const Graph& graph, const std::string& weight) {
  for (uint32_t op = 0; op < graph.ops.size(); ++op) {
    const auto* linear = std::get_if<tsr_op_linear>(&graph.ops[op].body);
    if (linear != nullptr && graph.weights[linear->weight].name == weight) {
      return op;
    }
  }
  return TSR_NONE;
}

// What a run takes beyond its kernels lies between them: a kernel that takes
// longer by itself has no more of it.
TEST_F(PlanCosts, BetweenKernelsAreThoseOfEachKernelAlike) {
  ProbeOptions probing = options();
  probing.store = nullptr;
  probing.timer.record = [](Stage& stage, const StepSize& size) {
    auto records = record_on_device(stage, size);
    if (!records.ok()) return records;
    for (tsr_kernel_record& one : *records) {
      one.begin_ns = 0;
      one.end_ns = 1'000'000 * (1 + one.first_op);
    }
    return records;
  };
  CostProbe probe(graph_, model_->source, probing);
  double found = 0.0;
  for (const GraphSegment& segment : cut_segments(graph_)) {
    if (segment.layer != 0) continue;
    const auto cost =
        probe.probe(device_, segment, *find_scheme("w8a8_dynamic"));
    ASSERT_TRUE(cost.ok()) << cost.status().message();
    for (const LinearCost& linear : cost->linears) {
      const std::string& name = graph_.weights[linear.weight].name;
      if (name == "layers.0.mlp.down_proj") found += linear.costs[kDecode].ns;
      if (name == "layers.0.self_attn.o_proj") {
        found -= linear.costs[kDecode].ns;
      }
    }
  }
  const double expected = 1e6 * (op_of(graph_, "layers.0.mlp.down_proj") -
                                 op_of(graph_, "layers.0.self_attn.o_proj"));
  EXPECT_NEAR(found, expected, 1e-3 * expected);
}

// Behind itself a run of few layers finds some of them in caches, which a step
// with its head never does.
TEST_F(PlanCosts, OfLayersAreTimedBehindAHead) {
  machine_.speed = 1e30;
  std::string runs;
  ProbeOptions probing = options();
  probing.store = nullptr;
  const auto quick = [&runs](char what) {
    runs += what;
    return Result<double>(1e5);
  };
  probing.timer.time = [&](Stage& stage, const StepSize& size) {
    const bool counts =
        size.num_decode_tokens > 0 && stage.memory().weight_bytes > 0;
    return quick(counts ? 'w' : '-');
  };
  probing.timer.front = [&](Stage&, const StepSize&) { return quick('f'); };
  CostProbe probe(graph_, model_->source, probing);
  ASSERT_TRUE(
      probe
          .probe(device_, cut_segments(graph_)[1], *find_scheme("w8a8_dynamic"))
          .ok());
  size_t num_timed = 0;
  for (size_t at = runs.find('f'); at != std::string::npos;
       at = runs.find('f', at + 1)) {
    ASSERT_GT(at, 0U);
    EXPECT_EQ(runs[at - 1], 'w') << at;
    ++num_timed;
  }
  EXPECT_GT(num_timed, 5U);
}

// Records of one scheme put most of a run outside its linears, those of the
// other little: plans in one scheme take what its run took all the same.
TEST_F(PlanCosts, OfASchemeAreAllThatItsRunTook) {
  ProblemInputs asked = inputs();
  asked.schemes = {*find_scheme("w8a8_dynamic"), *find_scheme("w4a16_g32")};
  asked.probe.store = nullptr;
  uint64_t most_bytes = 0;
  asked.probe.timer.record = [&](Stage& stage, const StepSize& size) {
    auto records = FakeMachine::record(stage, size);
    if (!records.ok()) return records;
    most_bytes = std::max(most_bytes, stage.memory().weight_bytes);
    const bool is_larger = stage.memory().weight_bytes == most_bytes;
    for (tsr_kernel_record& one : *records) {
      if ((one.first_op % 2 == 0) == is_larger) one.end_ns *= 50;
    }
    return records;
  };
  ProblemMaker maker(asked);
  const Problem problem = make(maker);
  const std::vector<GraphSegment> segments = cut_segments(graph_);
  CostProbe probe(graph_, model_->source, asked.probe);
  std::vector<double> outside;
  for (uint32_t scheme = 0; scheme < 2; ++scheme) {
    double planned = 0.0;
    for (const auto& entry : problem.linear_classes) {
      planned += entry.cells[scheme].costs[kDecode]->ns;
    }
    double timed = 0.0;
    outside.push_back(0.0);
    for (size_t index = 1; index < 3; ++index) {
      planned += problem.segment_classes[index].sites[0].costs[kDecode]->ns;
      const auto cost =
          probe.probe(device_, segments[index], asked.schemes[scheme]);
      ASSERT_TRUE(cost.ok()) << cost.status().message();
      timed += cost->total(kDecode).ns;
      outside.back() += cost->own[kDecode].ns;
    }
    EXPECT_NEAR(planned, timed, kRounding * timed) << scheme;
  }
  EXPECT_GT(std::max(outside[0], outside[1]),
            1.2 * std::min(outside[0], outside[1]))
      << "records differ";
}

// A device may be quick in some rounds and slow in others by itself.
TEST_F(PlanCosts, AreThoseOfMostRoundsWhereNobodyElseRuns) {
  const SegmentCost quiet = probe_one(true);
  for (const bool others_run : {false, true}) {
    machine_.others_run = others_run;
    machine_.runs = 0;
    machine_.load = [](uint32_t run) { return run % 6 < 4 ? 2.0 : 1.0; };
    const double times =
        probe_one(true).total(kDecode).ns / quiet.total(kDecode).ns;
    EXPECT_NEAR(times, others_run ? 1.0 : 2.0, 0.01) << others_run;
  }
}

TEST_F(PlanCosts, ALoudMinuteDoesNotStick) {
  machine_.others_run = true;
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

}  // namespace
}  // namespace tessera::e2e
