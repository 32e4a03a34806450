// SPDX-License-Identifier: Apache-2.0
//
// A plan: which device runs each part of a graph, and in which precision.

#pragma once

#include <cstdint>
#include <memory>
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

// Rows n_begin .. n_end - 1 of a linear on a device.
struct LinearPart {
  std::string device;
  uint32_t n_begin = 0;
  uint32_t n_end = 0;

  bool operator==(const LinearPart&) const = default;
};

struct Plan {
  LayerPlan before;               // embedding
  std::vector<LayerPlan> layers;  // one per layer of the graph
  LayerPlan after;                // final norm and head
  // Where layers are divided: one per op of the graph, or none.  The layer's
  // entry still says how its KV cache is kept.
  std::vector<LayerPlan> ops;
  // Where linears differ within a layer: one per weight of the graph, or none.
  std::vector<Scheme> weights;
  // Linears divided over devices: one list per weight of the graph, or none.
  // A list is empty, or its parts make up all rows in order, each on a device
  // of its own.
  std::vector<std::vector<LinearPart>> parts;
  // What steps without a prompt's token do, if that differs; KV caches are
  // where this plan has them.  Has no such plan itself.
  std::shared_ptr<const Plan> decode;

  // What holds for an op's layer (kBeforeLayers, an index, kAfterLayers).
  const LayerPlan& at(int32_t layer) const;
  // What holds for op `index` of the graph.
  const LayerPlan& of_op(const Graph& graph, uint32_t index) const;
  // How weight `index` of the graph is held.
  const Scheme& of_weight(const Graph& graph, uint32_t index) const;
};

// Everything on one device in one scheme.
Plan uniform_plan(const Graph& graph, const std::string& device,
                  const Scheme& scheme);

}  // namespace tessera
