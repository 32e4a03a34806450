// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/run/contingencies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/cli/date.hpp"
#include "framework/planner/plan.hpp"
#include "framework/planner/plan_file/contingency.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera::cli {
namespace {

// The device that is there on every machine.
constexpr const char* kLastResort = "cpu";

// A device that keeps failing is not opened again for ever.
constexpr uint32_t kMaxLosses = 3;

std::string plugin_of(const std::string& device) {
  return device.substr(0, device.find(':'));
}

}  // namespace

void Contingencies::start_on(const std::shared_ptr<Device>& device) {
  devices_ = {{device->name(), device}};
}

void Contingencies::start_with(const LoadedPlan& plan) {
  devices_ = plan.devices;
  file_ = plan.file;
  scheme_ = plan.base;
}

std::string Contingencies::device_names() const {
  std::vector<std::string> names;
  for (const auto& [name, device] : devices_) names.push_back(name);
  std::sort(names.begin(), names.end());
  std::string joined;
  for (const std::string& name : names) {
    joined += (joined.empty() ? "" : "+") + name;
  }
  return joined;
}

Status Contingencies::plan_switch_from(const std::string& chosen) {
  switch_from_ = chosen;
  if (!chosen.empty()) {
    if (devices_.contains(chosen)) return {};
    return {TSR_INVALID_ARGUMENT,
            fmt::format("--switch-from {}: the run is on {}", chosen,
                        device_names())};
  }
  uint32_t others = 0;
  for (const auto& [name, device] : devices_) {
    if (name == kLastResort && devices_.size() > 1) continue;
    switch_from_ = name;
    ++others;
  }
  if (others == 1) return {};
  return {TSR_INVALID_ARGUMENT,
          "--switch-at: say with --switch-from which device of " +
              device_names() + " is given up"};
}

bool Contingencies::may_reopen(const std::string& device) const {
  const auto found = losses_.find(device);
  return found == losses_.end() || found->second < kMaxLosses;
}

std::vector<Contingencies::Candidate> Contingencies::plan_candidates(
    const std::string& lost) const {
  std::vector<Candidate> list;
  for (const planner::Contingency& contingency : file_->contingencies) {
    if (contingency.lost != lost) continue;
    Result<planner::PlanFile> file =
        planner::apply_contingency(*file_, contingency);
    if (!file.ok()) continue;
    const std::vector<std::string> names = devices_of(*file);
    const bool whole = std::none_of(
        names.begin(), names.end(),
        [&](const std::string& name) { return losses_.contains(name); });
    if (whole) list.push_back({std::move(*file), ""});
  }
  if (!losses_.contains(kLastResort)) {
    list.push_back({planner::move_to_device(*file_, kLastResort), ""});
  }
  if (may_reopen(lost)) list.push_back({*file_, ""});
  return list;
}

std::vector<Contingencies::Candidate> Contingencies::candidates(
    const std::string& lost) const {
  if (file_) return plan_candidates(lost);
  std::vector<Candidate> list;
  if (!losses_.contains(kLastResort)) list.push_back({{}, kLastResort});
  if (may_reopen(lost)) list.push_back({{}, lost});
  return list;
}

// One that is in use, or opened anew: in a child process of its own if plugins
// are isolated.
Result<std::shared_ptr<Device>> Contingencies::device(const std::string& name) {
  const auto found = devices_.find(name);
  if (found != devices_.end()) return found->second;
  const Registry registry =
      discover_plugins(target_.threads, target_.isolate, {name},
                       {plugin_of(name)}, target_.isolation);
  const bool is_target = !file_ && name == target_.device;
  return open_device(
      registry, name,
      is_target ? target_.device_options : std::vector<std::string>());
}

Status Contingencies::move_to_device(const std::string& name,
                                     Session& session) {
  TSR_ASSIGN_OR_RETURN(const std::shared_ptr<Device> chosen, device(name));
  const Scheme scheme = with_kv(fit_scheme(scheme_, *chosen), target_.kv);
  devices_ = {{chosen->name(), chosen}};
  return session.switch_plan(
      uniform_plan(session.graph(), chosen->name(), scheme), devices_);
}

Status Contingencies::move_to_plan(const planner::PlanFile& file,
                                   Session& session) {
  DeviceMap devices;
  for (const std::string& name : devices_of(file)) {
    TSR_ASSIGN_OR_RETURN(devices[name], device(name));
  }
  TSR_ASSIGN_OR_RETURN(const Plan plan,
                       lower_plan(model_, file, scheme_, devices));
  devices_ = std::move(devices);
  file_ = file;
  return session.switch_plan(plan, devices_);
}

Status Contingencies::move_to(const Candidate& candidate, Session& session) {
  return candidate.file ? move_to_plan(*candidate.file, session)
                        : move_to_device(candidate.device, session);
}

// A run goes on even if nothing can be remembered.
void Contingencies::remember(const std::string& lost, const Status& failure) {
  const auto found = devices_.find(lost);
  if (found == devices_.end() || !found->second->is_lost()) return;
  const Plugin& plugin = found->second->plugin();
  const Status saved = user_plugin_records().add_offence(
      plugin.name(), plugin.sha256(), {lost, failure.message(), today()});
  if (!saved.ok()) write_err(saved.message() + "\n");
}

Status Contingencies::switch_plan(Session& session, uint64_t step,
                                  const Status& failure) {
  std::string lost = failure.ok() ? switch_from_ : session.failed_device();
  if (!failure.ok()) remember(lost, failure);
  Status last = failure;
  // A plan may fail in its turn while it is taken up.
  while (!lost.empty()) {
    ++losses_[lost];
    devices_.erase(lost);
    std::string failed_next;
    for (const Candidate& candidate : candidates(lost)) {
      last = move_to(candidate, session);
      if (last.ok()) {
        switches_.push_back({step, lost, failure.message(), device_names()});
        const std::string why =
            failure.ok() ? "--switch-at" : failure.message();
        write_err(fmt::format(
            "{} is given up before step {} ({}); going on with {}\n", lost,
            step, why, device_names()));
        return {};
      }
      failed_next = session.failed_device();
      if (!failed_next.empty()) break;
    }
    lost = failed_next;
  }
  if (failure.ok()) return std::move(last).annotate("--switch-at");
  return {failure.code(),
          failure.message() + "; no other plan runs: " + last.message()};
}

}  // namespace tessera::cli
