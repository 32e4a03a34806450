// SPDX-License-Identifier: Apache-2.0
//
// From a plan lock file to what a session runs.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/graph/graph.hpp"
#include "framework/host/device/device.hpp"
#include "framework/planner/plan.hpp"
#include "framework/planner/plan_file/plan_file.hpp"
#include "framework/runtime/session.hpp"

namespace tessera {

// Device, driver and plugin: what its costs depend on.
std::string device_fingerprint(const Device& device);

// Architecture, shapes and the bytes of the smallest weights: what a plan's
// layers and sensitivities depend on.
std::string model_fingerprint(const Graph& graph, const WeightSource& source);

// Names of all devices that the plan uses.
std::vector<std::string> devices_of(const planner::PlanFile& file);

// What of the plan's fingerprints no longer holds; empty: all do.
//
// Requires  `devices` has every name in devices_of()
std::vector<std::string> changed_fingerprints(const planner::PlanFile& file,
                                              const std::string& model,
                                              const DeviceMap& devices);

// Errors  INVALID_ARGUMENT if the file does not name every segment and linear
//         of the graph, or names what it lacks, or moves a KV cache between
//         the phases; NOT_FOUND for a device that is not there
Result<Plan> runtime_plan(const planner::PlanFile& file, const Graph& graph,
                          const Scheme& base, const DeviceMap& devices);

}  // namespace tessera
