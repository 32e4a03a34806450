// SPDX-License-Identifier: Apache-2.0
//
// Options of `tessera plan`, and the planner's problem that they describe.

#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/runtime/session.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera::cli {

struct PlanCommandOptions {
  std::string model;
  std::string preset;  // in place of a model: its shape, with random weights
  std::vector<std::string> devices = {"cpu"};
  std::vector<std::string> schemes;
  std::string base;
  std::string kv;
  std::string objective;  // empty: latency, or what --devices-file asks
  planner::Workload workload;
  double max_kl = -1.0;              // below 0: no limit
  std::vector<std::string> memory;   // "DEV=SIZE"
  std::vector<std::string> pins;     // "GLOB=DEVICE/SCHEME"
  std::vector<std::string> forbids;  // likewise
  double profile_seconds = 30.0;
  bool remeasure = false;
  std::string costs;  // where measured times are kept; empty: the state folder
  uint64_t sensitivity_tokens = 256;
  uint32_t threads = 0;
  bool isolate = false;
  std::string devices_file;
  std::string save_problem;
  std::string output;
  std::string explain;
  std::string svg;
  bool compare_baselines = false;
  bool split_phases = false;
  bool split_linears = false;
  bool run = false;
  uint32_t challenge = 0;          // random plans to run; 0: none
  double challenge_seconds = 0.0;  // for all plans; 0: as long as it takes
  bool json = false;
  uint64_t verify_tokens = 2048;
};

// Where the times of a problem come from.
struct CostSource {
  Graph graph;
  WeightSource source;
  std::optional<CostStore> store;
  std::optional<ProblemInputs> inputs;
  std::optional<ProblemMaker> maker;
};

// A problem, and what it was made from unless that was a file.
struct PlanInputs {
  planner::Problem problem;
  std::optional<LoadedModel> model;
  Scheme base;
  DeviceMap devices;
  // Of each device by its name: what conformance has proved of it.
  std::map<std::string, std::string> certificates;
  std::unique_ptr<CostSource> costs;
};

// Loads the model, opens and measures the devices; or reads --devices-file.
// Limits and rules of the command line are in the problem.
Result<PlanInputs> make_plan_inputs(const PlanCommandOptions& options);

// "4G" as bytes: K, M, G are powers of 1024.
// Errors: INVALID_ARGUMENT.
Result<uint64_t> parse_bytes(const std::string& text);

// "layers.0.*=cpu/w8a8_dynamic" as a rule; either side of the slash may be
// empty.
// Errors: INVALID_ARGUMENT.
Result<planner::Rule> parse_rule(const std::string& text, bool forbids);

}  // namespace tessera::cli
