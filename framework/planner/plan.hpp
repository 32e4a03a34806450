// SPDX-License-Identifier: Apache-2.0
//
// A plan: which device runs each part of a graph, and in which precision.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/format/scheme.hpp"
#include "framework/graph/graph.hpp"

namespace tessera {

struct LayerPlan {
  std::string device;  // "cpu"
  Scheme scheme;
};

struct Plan {
  LayerPlan before;               // embedding
  std::vector<LayerPlan> layers;  // one per layer of the graph
  LayerPlan after;                // final norm and head

  // What holds for an op's layer (kBeforeLayers, an index, kAfterLayers).
  const LayerPlan& at(int32_t layer) const;
};

// Everything on one device in one scheme.
Plan uniform_plan(const Graph& graph, const std::string& device,
                  const Scheme& scheme);

}  // namespace tessera
