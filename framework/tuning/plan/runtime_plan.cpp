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

using planner::kDecode;
using planner::kPrefill;

// One phase of a plan.
class PlanLowering {
 public:
  PlanLowering(const PlanFile& file, uint32_t phase, const Graph& graph,
               const Scheme& base, const DeviceMap& devices)
      : phase_(phase), graph_(graph), base_(base), devices_(devices) {
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
  using Parts = std::vector<PlannedPart>;

  Result<const Parts*> find(const std::string& name) const {
    const auto found = layers_.find(name);
    if (found == layers_.end()) {
      return Status(TSR_INVALID_ARGUMENT, "the plan says nothing of " + name +
                                              ": it is for another model");
    }
    const Parts& parts = found->second->phases[phase_];
    if (parts.empty()) {
      return Status(TSR_INVALID_ARGUMENT,
                    name + ": the plan has no part that runs it");
    }
    return &parts;
  }

  Status add_segment(const GraphSegment& segment) {
    TSR_ASSIGN_OR_RETURN(const Parts* parts, find(segment.name));
    if (parts->size() != 1) {
      return {TSR_INVALID_ARGUMENT,
              segment.name + ": only linears have several parts"};
    }
    const std::string& name = parts->front().device;
    const auto device = devices_.find(name);
    if (device == devices_.end()) return {TSR_NOT_FOUND, "no device " + name};
    const LayerPlan own{name, fit_scheme(base_, *device->second)};
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
      TSR_RETURN_IF_ERROR(add_linear(linear->weight, own, plan_.ops[i]));
    }
    return {};
  }

  Status add_linear(uint32_t weight, const LayerPlan& own, LayerPlan& op) {
    const GraphWeight& entry = graph_.weights[weight];
    if (entry.is_head) {
      plan_.weights[weight] = own.scheme;
      return {};
    }
    TSR_ASSIGN_OR_RETURN(const Parts* parts, find(entry.name));
    TSR_ASSIGN_OR_RETURN(
        plan_.weights[weight],
        find_scheme(parts->front().scheme).annotate(entry.name));
    op.device = parts->front().device;
    if (parts->size() > 1) return add_parts(weight, *parts);
    return {};
  }

  Status add_parts(uint32_t weight, const Parts& parts) {
    plan_.parts.resize(graph_.weights.size());
    for (const PlannedPart& part : parts) {
      if (part.scheme != parts.front().scheme) {
        return {TSR_INVALID_ARGUMENT,
                fmt::format("{}: parts in {} and {}; a linear has one scheme",
                            graph_.weights[weight].name, parts.front().scheme,
                            part.scheme)};
      }
      plan_.parts[weight].push_back({part.device, part.n_begin, part.n_end});
    }
    return {};
  }

  uint32_t phase_;
  const Graph& graph_;
  const Scheme& base_;
  const DeviceMap& devices_;
  std::map<std::string, const PlannedLayer*> layers_;
  Plan plan_;
};

bool same_parts(const std::vector<PlannedPart>& a,
                const std::vector<PlannedPart>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const PlannedPart& x, const PlannedPart& y) {
                      return x.device == y.device && x.scheme == y.scheme &&
                             x.n_begin == y.n_begin && x.n_end == y.n_end;
                    });
}

bool phases_part(const PlanFile& file) {
  return std::any_of(
      file.layers.begin(), file.layers.end(), [](const PlannedLayer& layer) {
        return !same_parts(layer.phases[kPrefill], layer.phases[kDecode]);
      });
}

// A KV cache is written in one phase and read in the other.
Status check_caches(const Graph& graph, const Plan& prefill,
                    const Plan& decode) {
  for (size_t layer = 0; layer < prefill.layers.size(); ++layer) {
    const std::string& first = prefill.layers[layer].device;
    const std::string& second = decode.layers[layer].device;
    if (first == second || graph.kv.size() <= layer) continue;
    return {TSR_INVALID_ARGUMENT,
            fmt::format("layers.{}: its KV cache would be on {} in prefill and "
                        "on {} in decode",
                        layer, first, second)};
  }
  return {};
}

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
  TSR_ASSIGN_OR_RETURN(
      Plan plan, PlanLowering(file, kPrefill, graph, base, devices).lower());
  if (!phases_part(file)) return plan;
  TSR_ASSIGN_OR_RETURN(
      Plan decode, PlanLowering(file, kDecode, graph, base, devices).lower());
  TSR_RETURN_IF_ERROR(check_caches(graph, plan, decode));
  plan.decode = std::make_shared<const Plan>(std::move(decode));
  return plan;
}

}  // namespace tessera
