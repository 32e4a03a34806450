// SPDX-License-Identifier: Apache-2.0

#include "framework/session/loaded_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/base/mapped_file.hpp"
#include "framework/model/build_graph.hpp"
#include "framework/session/kv_type.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera {
namespace {

Result<std::string> read_text(const std::string& path) {
  TSR_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return std::string(reinterpret_cast<const char*>(file.bytes().data()),
                     file.bytes().size());
}

Result<Graph> graph_of(const LoadedModel& model, uint32_t max_context) {
  TSR_ASSIGN_OR_RETURN(Graph graph,
                       build_graph(model.model->config, max_context));
  mark_stored(model.source, graph);
  return graph;
}

Status check_fingerprints(const LoadedModel& model, LoadedPlan& plan) {
  TSR_ASSIGN_OR_RETURN(const Graph graph, graph_of(model, 1));
  const std::string print = model_fingerprint(graph, model.source);
  for (const std::string& change :
       changed_fingerprints(plan.file, print, plan.devices)) {
    if (change.starts_with("model")) {
      return {TSR_FAILED_PRECONDITION,
              plan.path + ": does not hold here: " + change};
    }
    plan.changes.push_back(
        fmt::format("{}: {}; its times may be off", plan.path, change));
  }
  return {};
}

// A step that takes this much longer than its plan foresees hangs.
constexpr double kPatience = 50.0;

// Unless the user has set a limit, a slow plan gets the time it asks for.
Isolation patient(Isolation isolation, const planner::PlanFile& file) {
  if (isolation.step_limit_ns != Isolation().step_limit_ns) return isolation;
  const auto wall = file.prefill_ns.find("wall");
  if (wall == file.prefill_ns.end()) return isolation;
  const double wanted = std::min(wall->second * kPatience, 1e15);
  isolation.step_limit_ns =
      std::max(isolation.step_limit_ns, static_cast<uint64_t>(wanted));
  return isolation;
}

}  // namespace

std::string LoadedPlan::device_names() const {
  std::string names;
  for (const std::string& name : devices_of(file)) {
    names += (names.empty() ? "" : "+") + name;
  }
  return names;
}

bool LoadedPlan::is_simulated() const {
  return std::all_of(devices.begin(), devices.end(), [](const auto& entry) {
    return entry.second->info().clock == TSR_CLOCK_SIMULATED;
  });
}

bool LoadedPlan::has_simulated() const {
  return std::any_of(devices.begin(), devices.end(), [](const auto& entry) {
    return entry.second->info().clock == TSR_CLOCK_SIMULATED;
  });
}

Result<Scheme> find_base_scheme(const std::string& name,
                                const std::string& kv) {
  TSR_ASSIGN_OR_RETURN(Scheme scheme, find_scheme(name));
  return with_kv_type(std::move(scheme), kv);
}

Result<LoadedPlan> load_plan(const std::string& path, const LoadedModel& model,
                             RegistryOptions registry_options) {
  LoadedPlan plan;
  plan.path = path;
  TSR_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  TSR_ASSIGN_OR_RETURN(plan.file, planner::read_plan(text, path));
  if (plan.file.base_scheme.empty()) {
    return Status(TSR_INVALID_ARGUMENT,
                  path +
                      ": base_scheme is empty: the problem that it was made "
                      "of names none, so it cannot be run");
  }
  TSR_ASSIGN_OR_RETURN(
      plan.base,
      find_base_scheme(plan.file.base_scheme, plan.file.kv).annotate(path));
  const std::vector<std::string> names = devices_of(plan.file);
  registry_options.devices = names;
  registry_options.host.isolation =
      patient(registry_options.host.isolation, plan.file);
  const Registry registry = Registry::discover(registry_options);
  for (const std::string& name : names) {
    TSR_ASSIGN_OR_RETURN(plan.devices[name],
                         registry.open(name).annotate(path));
  }
  TSR_RETURN_IF_ERROR(check_fingerprints(model, plan));
  return plan;
}

Result<Plan> lower_plan(const LoadedModel& model, const planner::PlanFile& file,
                        const Scheme& base, const DeviceMap& devices) {
  TSR_ASSIGN_OR_RETURN(const Graph graph, graph_of(model, 1));
  return runtime_plan(file, graph, base, devices);
}

Result<std::unique_ptr<Session>> open_plan_session(
    const LoadedModel& model, const LoadedPlan& plan,
    const SessionOptions& options) {
  TSR_ASSIGN_OR_RETURN(Graph graph, graph_of(model, options.max_context));
  TSR_ASSIGN_OR_RETURN(const Plan lowered,
                       runtime_plan(plan.file, graph, plan.base, plan.devices)
                           .annotate(plan.path));
  return Session::create(std::move(graph), lowered, model.source, plan.devices,
                         options)
      .annotate(plan.path);
}

}  // namespace tessera
