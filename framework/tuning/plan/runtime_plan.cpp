// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/runtime_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/base/text_hash.hpp"
#include "framework/runtime/fit_scheme.hpp"
#include "framework/tuning/plan/graph_segments.hpp"

namespace tessera {
namespace {

using planner::PlanFile;
using planner::PlannedLayer;
using planner::PlannedPart;

// The one part that runs a layer in both phases.
Result<const PlannedPart*> only_part(const PlannedLayer& layer) {
  const auto& prefill = layer.phases[planner::kPrefill];
  const auto& decode = layer.phases[planner::kDecode];
  if (prefill.size() != 1 || decode.size() != 1) {
    return Status(TSR_UNIMPLEMENTED,
                  layer.name + ": split over devices, which cannot be run yet");
  }
  if (prefill[0].device != decode[0].device ||
      prefill[0].scheme != decode[0].scheme) {
    return Status(TSR_UNIMPLEMENTED,
                  layer.name +
                      ": prefill and decode part, which cannot be "
                      "run yet; plan without --split-phases");
  }
  return &prefill[0];
}

class PlanLowering {
 public:
  PlanLowering(const PlanFile& file, const Graph& graph, const Scheme& base,
               const DeviceMap& devices)
      : graph_(graph), base_(base), devices_(devices) {
    for (const PlannedLayer& layer : file.layers) layers_[layer.name] = &layer;
  }

  Result<Plan> lower() {
    plan_.ops.resize(graph_.ops.size());
    plan_.weights.assign(graph_.weights.size(), base_);
    plan_.layers.resize(graph_.num_layers);
    for (const GraphSegment& segment : cut_segments(graph_)) {
      TSR_RETURN_IF_ERROR(add_segment(segment));
    }
    plan_.before = plan_.ops.front();
    plan_.after = plan_.ops.back();
    return std::move(plan_);
  }

 private:
  Result<const PlannedPart*> find(const std::string& name) const {
    const auto found = layers_.find(name);
    if (found == layers_.end()) {
      return Status(TSR_INVALID_ARGUMENT, "the plan says nothing of " + name +
                                              ": it is for another model");
    }
    return only_part(*found->second);
  }

  Status add_segment(const GraphSegment& segment) {
    TSR_ASSIGN_OR_RETURN(const PlannedPart* part, find(segment.name));
    const auto device = devices_.find(part->device);
    if (device == devices_.end()) {
      return {TSR_NOT_FOUND, "no device " + part->device};
    }
    const LayerPlan own{part->device, fit_scheme(base_, *device->second)};
    std::fill(plan_.ops.begin() + segment.first,
              plan_.ops.begin() + segment.last, own);
    const bool in_layer = segment.layer >= 0 && segment.layer != kAfterLayers;
    // The segment with the KV cache speaks for the layer.
    if (in_layer &&
        (!segment.kv.empty() ||
         plan_.layers[static_cast<size_t>(segment.layer)].device.empty())) {
      plan_.layers[static_cast<size_t>(segment.layer)] = own;
    }
    for (uint32_t i = segment.first; i < segment.last; ++i) {
      const auto* linear = std::get_if<tsr_op_linear>(&graph_.ops[i].body);
      if (linear == nullptr) continue;
      TSR_RETURN_IF_ERROR(add_linear(linear->weight, own));
    }
    return {};
  }

  Status add_linear(uint32_t weight, const LayerPlan& own) {
    const GraphWeight& entry = graph_.weights[weight];
    if (entry.is_head) {
      plan_.weights[weight] = own.scheme;
      return {};
    }
    TSR_ASSIGN_OR_RETURN(const PlannedPart* part, find(entry.name));
    if (part->device != own.device) {
      return {TSR_UNIMPLEMENTED,
              fmt::format("{}: on {} in a segment on {}, which cannot be run "
                          "yet",
                          entry.name, part->device, own.device)};
    }
    TSR_ASSIGN_OR_RETURN(plan_.weights[weight],
                         find_scheme(part->scheme).annotate(entry.name));
    return {};
  }

  const Graph& graph_;
  const Scheme& base_;
  const DeviceMap& devices_;
  std::map<std::string, const PlannedLayer*> layers_;
  Plan plan_;
};

}  // namespace

std::string device_fingerprint(const Device& device) {
  TextHash hash;
  const tsr_device_info& info = device.info();
  hash.add(device.name());
  hash.add(info.name);
  hash.add(info.driver);
  hash.add({reinterpret_cast<const char*>(info.uuid), sizeof(info.uuid)});
  hash.add(device.plugin().sha256());
  return hash.text();
}

std::string model_fingerprint(const Graph& graph, const WeightSource& source) {
  TextHash hash;
  for (const GraphSegment& segment : cut_segments(graph)) {
    hash.add(segment.name);
    hash.add(segment.signature);
  }
  for (const GraphTensor& tensor : graph.tensors) {
    if (!tensor.constant || tensor.source.empty() || tensor.dims.size() > 1) {
      continue;
    }
    const Result<SourceTensor> found = source.tensor(tensor.source);
    if (!found.ok()) continue;
    hash.add({reinterpret_cast<const char*>(found->bytes.data()),
              found->bytes.size()});
  }
  return hash.text();
}

std::vector<std::string> devices_of(const PlanFile& file) {
  std::set<std::string> names;
  for (const PlannedLayer& layer : file.layers) {
    for (const auto& parts : layer.phases) {
      for (const PlannedPart& part : parts) names.insert(part.device);
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> changed_fingerprints(const PlanFile& file,
                                              const std::string& model,
                                              const DeviceMap& devices) {
  std::vector<std::string> changed;
  if (file.model_fingerprint != model) {
    changed.push_back(fmt::format("model: planned for {}, this one is {}",
                                  file.model_fingerprint, model));
  }
  for (const std::string& name : devices_of(file)) {
    const auto device = devices.find(name);
    const auto planned = file.device_fingerprints.find(name);
    if (device == devices.end() || planned == file.device_fingerprints.end()) {
      continue;
    }
    const std::string now = device_fingerprint(*device->second);
    if (now == planned->second) continue;
    changed.push_back(fmt::format("device {}: planned for {}, now {}", name,
                                  planned->second, now));
  }
  return changed;
}

Result<Plan> runtime_plan(const PlanFile& file, const Graph& graph,
                          const Scheme& base, const DeviceMap& devices) {
  return PlanLowering(file, graph, base, devices).lower();
}

}  // namespace tessera
