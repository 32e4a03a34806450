// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan.hpp"

namespace tessera {

const LayerPlan& Plan::at(int32_t layer) const {
  if (layer == kBeforeLayers) return before;
  if (layer == kAfterLayers) return after;
  return layers[static_cast<size_t>(layer)];
}

const LayerPlan& Plan::of_op(const Graph& graph, uint32_t index) const {
  return ops.empty() ? at(graph.ops[index].layer) : ops[index];
}

const Scheme& Plan::of_weight(const Graph& graph, uint32_t index) const {
  return weights.empty() ? at(graph.weights[index].layer).scheme
                         : weights[index];
}

Plan uniform_plan(const Graph& graph, const std::string& device,
                  const Scheme& scheme) {
  const LayerPlan everywhere{device, scheme};
  Plan plan;
  plan.before = plan.after = everywhere;
  plan.layers.assign(graph.num_layers, everywhere);
  return plan;
}

}  // namespace tessera
