// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/plan.hpp"

namespace tessera {

const LayerPlan& Plan::at(int32_t layer) const {
  if (layer == kBeforeLayers) return before;
  if (layer == kAfterLayers) return after;
  return layers[static_cast<size_t>(layer)];
}

Plan uniform_plan(const Graph& graph, const std::string& device,
                  const Scheme& scheme) {
  const LayerPlan everywhere{device, scheme};
  return {everywhere, std::vector<LayerPlan>(graph.num_layers, everywhere),
          everywhere};
}

}  // namespace tessera
