// SPDX-License-Identifier: Apache-2.0
//
// Hostile plan lock files.

#include "framework/planner/plan_file/plan_file.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using tessera::promise;
using tessera::planner::PlanFile;

// A plan with everything that a plan may have.
PlanFile sample() {
  PlanFile plan;
  plan.objective = "latency";
  plan.base_scheme = "w16a16";
  plan.kv = "f16";
  plan.split_phases = true;
  plan.objective_value = 1e9;
  plan.lower_bound = 9e8;
  plan.gap = 0.1;
  plan.prefill_ns = {{"wall", 1e6}, {"simulated", 2.5}};
  plan.decode_ns = {{"wall", 1e5}};
  plan.kl_limit = 0.01;
  plan.kl_measured = 0.001;
  plan.kl_measured_ci95 = {0.0005, 0.002};
  plan.memory = {{"cpu", 1U << 20}};
  plan.memory_limits = {{"cpu", 1U << 30}};
  tessera::planner::PlannedLayer layer;
  layer.name = "layers.0.mlp.up_proj";
  layer.op = "linear";
  layer.segment = "layers.0.mlp";
  layer.phases[0] = {{"cpu", 0, 16, "w4a16", "kernel", "raw", 10.0},
                     {"npu_sim:310p", 16, 32, "w8a8", "", "", 11.0}};
  layer.phases[1] = {{"cpu", 0, 32, "w4a16", "kernel", "raw", 1.0}};
  layer.margin_ns = 3.0;
  layer.reason = "why";
  layer.refusals = {"vulkan: no"};
  plan.layers = {layer};
  tessera::planner::Contingency lost;
  lost.lost = "cpu";
  lost.layers = {{"layers.0.mlp", {"npu_sim:310p", "cpu"}, {"w8a8", "w8a8"}}};
  plan.contingencies = {lost};
  plan.model_fingerprint = "abc";
  plan.device_fingerprints = {{"cpu", "def"}};
  return plan;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto plan = tessera::planner::read_plan(text, "fuzz");
  if (!plan.ok()) {
    promise(!plan.status().message().empty(), "errors explain");
    return 0;
  }
  const std::string written = tessera::planner::write_plan(*plan);
  const auto again = tessera::planner::read_plan(written, "again");
  promise(again.ok(), "what is read can be written and read");
  promise(tessera::planner::write_plan(*again) == written,
          "the same plan gives the same bytes");
  return 0;
}

std::vector<std::string> tessera::fuzz_seeds() {
  PlanFile plain;
  plain.objective = "memory";
  plain.base_scheme = "f32";
  return {planner::write_plan(sample()), planner::write_plan(plain)};
}
