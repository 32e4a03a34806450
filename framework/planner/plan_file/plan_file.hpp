// SPDX-License-Identifier: Apache-2.0
//
// The plan lock file: what was decided, why, and for which model, devices and
// measurements it holds.  docs/planner.md describes the format.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

inline constexpr uint32_t kPlanVersion = 1;

// Rows n_begin .. n_end - 1 of a linear; all of a segment's own ops.
struct PlannedPart {
  std::string device;
  uint32_t n_begin = 0;
  uint32_t n_end = 0;
  std::string scheme;  // empty: a segment's own ops
  std::string kernel;
  std::string layout;
  double predicted_ns = 0.0;  // of one prompt batch, or of one decode step
};

struct PlannedLayer {
  std::string name;     // "layers.3.mlp", "layers.3.mlp.up_proj"
  std::string op;       // "segment" or "linear"
  std::string segment;  // that it belongs to
  std::array<std::vector<PlannedPart>, 2> phases;  // by phase
  double kl = 0.0;                                 // that its scheme adds
  // How much worse the plan gets with the next best choice for this layer
  // alone; none if no other choice keeps the limits.  Of a segment: at least so
  // much with it elsewhere, all else chosen anew.
  std::optional<double> margin_ns;
  std::string second;  // that next best choice
  std::string reason;  // why not what looks faster
  std::vector<std::string> refusals;
};

// What runs where if a device is lost.
struct Contingency {
  struct Layer {
    std::string name;
    std::array<std::string, 2> devices;
    std::array<std::string, 2> schemes;
  };
  std::string lost;
  std::string failure;  // why there is no plan without it; empty: there is one
  double objective = 0.0;
  double gap = 0.0;
  std::vector<Layer> layers;
};

struct PlanFile {
  std::string objective;  // "latency"
  Workload workload;
  bool split_phases = false;
  std::string base_scheme;  // of all that is not a linear of a layer
  std::string kv;           // format of the KV cache; empty: the base scheme's

  double objective_value = 0.0;  // ns, nJ or bytes, as the objective says
  double lower_bound = 0.0;      // of every plan's objective
  double gap = 0.0;              // (objective - bound) / objective
  // "wall" and "simulated": never added up.
  std::map<std::string, double> prefill_ns;
  std::map<std::string, double> decode_ns;  // of one step
  double energy_nj = 0.0;
  double kl_predicted = 0.0;
  std::optional<double> kl_limit;
  std::optional<double> kl_measured;
  std::optional<std::array<double, 2>> kl_measured_ci95;
  std::map<std::string, uint64_t> memory;  // bytes by pool
  std::map<std::string, uint64_t> memory_limits;
  std::vector<PlannedLayer> layers;
  std::vector<Contingency> contingencies;
  // Why this plan stands in place of the one that costs least by what is
  // predicted; empty: it is that one.
  std::string in_place;

  std::string model_fingerprint;
  std::map<std::string, std::string> device_fingerprints;
  std::string measurements_fingerprint;
};

// The same plan gives the same bytes.
std::string write_plan(const PlanFile& plan);

// `what` names the file in errors.
//
// Errors  INVALID_ARGUMENT, naming the key, for anything that write_plan()
//         would not write, or another version
Result<PlanFile> read_plan(const std::string& text, const std::string& what);

}  // namespace tessera::planner
