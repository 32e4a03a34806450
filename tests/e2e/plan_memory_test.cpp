// SPDX-License-Identifier: Apache-2.0
//
// What a plan says that it takes of memory, beside what its session holds.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framework/tuning/plan/runtime_plan.hpp"
#include "tests/e2e/plan_costs.hpp"

namespace tessera::e2e {
namespace {

class PlanMemory : public PlanCosts {
 protected:
  void SetUp() override {
    PlanCosts::SetUp();
    auto other = open_cpu({}, true);
    ASSERT_TRUE(other.ok()) << other.status().message();
    ProblemInputs asked = inputs();
    asked.devices.push_back(std::move(*other));
    ProblemMaker maker(asked);
    problem_ = make(maker);
    problem_.devices[1].name = "other";
    devices_ = {{problem_.devices[0].name, device_},
                {"other", asked.devices[1]}};
  }

  struct Memory {
    uint64_t predicted = 0;
    uint64_t workspaces = 0;  // as predicted
    uint64_t passed_on = 0;   // from run to run, in a step
    Session::Memory held;
  };

  // With these segments on the other device.
  Memory memory_of(const std::vector<std::string>& on_other) {
    Problem problem = problem_;
    for (const planner::SegmentModel& segment : problem.segments) {
      const bool moves =
          std::count(on_other.begin(), on_other.end(), segment.name) > 0;
      const std::string& device = problem.devices[moves ? 1 : 0].name;
      problem.rules.push_back({segment.name, device, "", false});
    }
    Memory memory;
    const auto made = planner::make_plan(problem, {{}, false, false});
    EXPECT_TRUE(made.ok()) << made.status().message();
    for (const auto& [pool, bytes] : made->file.memory) {
      memory.predicted += bytes;
    }
    const std::vector<uint64_t> runs = planner::bytes_of_runs(problem);
    uint32_t before = UINT32_MAX;
    for (const auto& segment : made->assignment.segments) {
      const uint32_t device = segment.devices[kDecode];
      if (device == before) continue;
      memory.workspaces += runs[device] - problem.devices[device].stage_bytes;
      if (before != UINT32_MAX) {
        memory.passed_on += problem.segments.front().out_bytes[kPrefill];
      }
      before = device;
    }
    const ProbeOptions probe = options();
    const auto plan = runtime_plan(made->file, graph_, probe.base, devices_);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    SessionOptions session;
    session.max_tokens = probe.workload.prompt;
    session.max_context = probe.workload.prompt + probe.workload.generate;
    const auto opened =
        Session::create(graph_, *plan, model_->source, devices_, session);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    memory.held = (*opened)->memory();
    return memory;
  }

  static void expect_right(const Memory& memory) {
    const Session::Memory& held = memory.held;
    // What a run passes on is in a buffer and need not be in its workspace.
    EXPECT_GE(memory.workspaces, held.workspace_bytes);
    EXPECT_LE(memory.workspaces, held.workspace_bytes + memory.passed_on);
    const uint64_t all =
        held.weight_bytes + held.kv_bytes + held.workspace_bytes;
    EXPECT_GE(memory.predicted, all);
    // Tables, buffers and what a weight is loaded from come on top.
    EXPECT_LE(static_cast<double>(memory.predicted),
              1.25 * static_cast<double>(all));
  }

  Problem problem_;
  DeviceMap devices_;
};

TEST_F(PlanMemory, OfOneDeviceIsWhatItsSessionHolds) {
  expect_right(memory_of({}));
}

TEST_F(PlanMemory, HasAWorkspaceForEachRunOfSegments) {
  const Memory one = memory_of({});
  const Memory three = memory_of({"layers.1.self_attn", "layers.1.mlp"});
  const Memory five = memory_of({"layers.1.self_attn", "layers.1.mlp",
                                 "layers.3.self_attn", "layers.3.mlp"});
  for (const Memory& memory : {three, five}) expect_right(memory);
  EXPECT_GT(one.workspaces, 0U);
  EXPECT_EQ(three.workspaces, 3 * one.workspaces);
  EXPECT_EQ(five.workspaces, 5 * one.workspaces);
}

}  // namespace
}  // namespace tessera::e2e
