// SPDX-License-Identifier: Apache-2.0
//
// A plan lock file with its devices open, and the way from there to a session.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/host/loading/registry.hpp"
#include "framework/planner/plan_file/plan_file.hpp"
#include "framework/runtime/session.hpp"
#include "framework/session/loaded_model.hpp"

namespace tessera {

struct LoadedPlan {
  std::string path;
  planner::PlanFile file;
  Scheme base;  // of all that is not a linear of a layer
  DeviceMap devices;
  // What has changed since the plan was made, so that its times may be off;
  // sentences.
  std::vector<std::string> changes;

  // "cpu+npu_sim:310p"
  std::string device_names() const;
  // True if every device's clock is simulated.
  bool is_simulated() const;
  bool has_simulated() const;
};

// Reads the plan and opens its devices, which replace registry_options.devices.
// A slow plan's steps may take long before they count as hung, unless
// registry_options limits them.
//
// Errors  those of reading the file; NOT_FOUND if a device is not here;
//         FAILED_PRECONDITION if the plan is for another model
Result<LoadedPlan> load_plan(const std::string& path, const LoadedModel& model,
                             RegistryOptions registry_options);

// The model as the plan divides it.
//
// Requires  `model` outlives the session
// Errors    what a device says that no longer runs its part, naming the plan
Result<std::unique_ptr<Session>> open_plan_session(
    const LoadedModel& model, const LoadedPlan& plan,
    const SessionOptions& options);

// The layers of `file` on `devices`.
//
// Errors  those of runtime_plan()
Result<Plan> lower_plan(const LoadedModel& model, const planner::PlanFile& file,
                        const Scheme& base, const DeviceMap& devices);

// The base scheme of that name, as plan files spell it.
Result<Scheme> find_base_scheme(const std::string& name, const std::string& kv);

}  // namespace tessera
