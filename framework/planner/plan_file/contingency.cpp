// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan_file/contingency.hpp"

#include <map>

namespace tessera::planner {
namespace {

PlannedPart only_part(const std::vector<PlannedPart>& parts,
                      const std::string& device, const std::string& scheme) {
  PlannedPart part;
  part.device = device;
  part.scheme = scheme;
  if (!parts.empty()) {
    part.n_begin = parts.front().n_begin;
    part.n_end = parts.back().n_end;
  }
  return part;
}

}  // namespace

Result<PlanFile> apply_contingency(const PlanFile& plan,
                                   const Contingency& contingency) {
  if (!contingency.failure.empty()) {
    return Status(
        TSR_FAILED_PRECONDITION,
        "no plan without " + contingency.lost + ": " + contingency.failure);
  }
  std::map<std::string, const Contingency::Layer*> layers;
  for (const Contingency::Layer& layer : contingency.layers) {
    layers[layer.name] = &layer;
  }
  PlanFile changed = plan;
  for (PlannedLayer& layer : changed.layers) {
    const auto found = layers.find(layer.name);
    if (found == layers.end()) {
      return Status(TSR_INVALID_ARGUMENT, "the plan without " +
                                              contingency.lost +
                                              " says nothing of " + layer.name);
    }
    for (size_t phase = 0; phase < layer.phases.size(); ++phase) {
      layer.phases[phase] = {only_part(layer.phases[phase],
                                       found->second->devices[phase],
                                       found->second->schemes[phase])};
    }
  }
  return changed;
}

PlanFile move_to_device(const PlanFile& plan, const std::string& device) {
  PlanFile moved = plan;
  for (PlannedLayer& layer : moved.layers) {
    for (std::vector<PlannedPart>& parts : layer.phases) {
      const std::string scheme = parts.empty() ? "" : parts.front().scheme;
      parts = {only_part(parts, device, scheme)};
    }
  }
  return moved;
}

}  // namespace tessera::planner
