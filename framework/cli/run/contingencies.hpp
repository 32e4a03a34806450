// SPDX-License-Identifier: Apache-2.0
//
// What a run goes on with when a device is lost.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/loaded_model.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/target_options.hpp"
#include "framework/runtime/session.hpp"

namespace tessera::cli {

// A change of plan that happened.
struct PlanSwitch {
  uint64_t step = 0;    // the first under the new plan
  std::string lost;     // device
  std::string reason;   // empty: nothing failed, --switch-at
  std::string devices;  // "cpu+opencl:0": of the new plan
};

// Chooses the next plan: that which the plan file has for the lost device, else
// all of the plan on the cpu, else the lost device opened anew, which a child
// process makes possible.  A device that was lost does not come back otherwise.
class Contingencies {
 public:
  // `model` outlives it.  `scheme` is that of the run before it was fitted to
  // its device.
  Contingencies(const LoadedModel& model, const TargetOptions& target,
                Scheme scheme)
      : model_(model), target_(target), scheme_(std::move(scheme)) {}

  // The run starts on one device, or on a plan.
  void start_on(const std::shared_ptr<Device>& device);
  void start_with(const LoadedPlan& plan);

  // Which device --switch-at gives up: `chosen`, or the only one that can be
  // meant if it is empty.
  //
  // Errors  INVALID_ARGUMENT, naming the devices of the run
  Status plan_switch_from(const std::string& chosen);

  // Moves `session` to the next plan, as Survival::SwitchPlan asks, and tells
  // the user.
  //
  // Errors  what `failure` says, and why no other plan runs
  Status switch_plan(Session& session, uint64_t step, const Status& failure);

  const std::vector<PlanSwitch>& switches() const { return switches_; }

 private:
  // A plan file, or one device if there is none.
  struct Candidate {
    std::optional<planner::PlanFile> file;
    std::string device;
  };

  std::vector<Candidate> candidates(const std::string& lost) const;
  std::vector<Candidate> plan_candidates(const std::string& lost) const;
  bool may_reopen(const std::string& device) const;
  Status move_to(const Candidate& candidate, Session& session);
  Status move_to_plan(const planner::PlanFile& file, Session& session);
  Status move_to_device(const std::string& name, Session& session);
  Result<std::shared_ptr<Device>> device(const std::string& name);
  std::string device_names() const;
  void remember(const std::string& lost, const Status& failure);

  const LoadedModel& model_;
  TargetOptions target_;
  Scheme scheme_;                          // of a run without a plan file
  std::optional<planner::PlanFile> file_;  // the plan in force
  DeviceMap devices_;                      // in use
  std::map<std::string, uint32_t> losses_;
  std::string switch_from_;
  std::vector<PlanSwitch> switches_;
};

}  // namespace tessera::cli
