// SPDX-License-Identifier: Apache-2.0
//
// Cuts a graph into the segments that the planner places: runs of ops that only
// the residual stream connects.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/graph/graph.hpp"
#include "framework/runtime/lowering.hpp"

namespace tessera {

// Ops first .. last - 1.
struct GraphSegment {
  std::string name;  // "embedding", "layers.3.self_attn", "head"
  int32_t layer = kBeforeLayers;
  uint32_t first = 0;
  uint32_t last = 0;
  std::vector<uint32_t> weights;  // of the graph, linears of layers only
  std::vector<uint32_t> kv;       // KV caches
  // Equal where the costs are: kinds, shapes and windows of all ops.
  std::string signature;
  uint32_t out_tensor = TSR_NONE;  // that the next segment reads

  OpRange range(const std::string& device) const {
    return {first, last, device, {}, 0};
  }
};

// "self_attn.q_proj" of "layers.3.self_attn.q_proj"; other names as they are.
std::string name_in_layer(const std::string& name);

// In order; together they are the whole graph.
std::vector<GraphSegment> cut_segments(const Graph& graph);

}  // namespace tessera
