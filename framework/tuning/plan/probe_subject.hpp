// SPDX-License-Identifier: Apache-2.0
//
// A segment on a device while CostProbe looks at it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/tuning/plan/cost_probe.hpp"

namespace tessera {

inline constexpr uint32_t kProbeBlockSize = 16;  // tokens of a KV block

inline uint32_t probe_blocks_for(uint32_t tokens) {
  return (tokens + kProbeBlockSize - 1) / kProbeBlockSize;
}

// What is being probed.
struct CostProbe::Subject {
  std::shared_ptr<Device> device;
  const GraphSegment& segment;
  Plan plan;
  // By lowered.weights.
  std::vector<std::shared_ptr<const format::WeightData>> weights;
  std::vector<format::WeightView> views;
  Lowered lowered;
};

// Index of the weight that an op of a lowered segment multiplies by; TSR_NONE
// for other ops, and for the head.
uint32_t weight_of(const Graph& graph, const Lowered& lowered, size_t op);

// What op `op` took belongs to: its linear's cost, or the segment's own.
planner::Cost& cost_of(const Graph& graph, const Lowered& lowered, size_t op,
                       uint32_t phase, SegmentCost& cost);

}  // namespace tessera
