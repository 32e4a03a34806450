// SPDX-License-Identifier: Apache-2.0
//
// Each launch of a model on a device by itself, fed what the oracle has there:
// an error is found where it is made, not where it shows.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/eval/oracle.hpp"
#include "framework/graph/weight_source.hpp"
#include "framework/host/device/device.hpp"

namespace tessera {

// One op, or a kv_append with the attention that reads what it stored.
struct LaunchResult {
  std::string name;  // of the op, "layers.0.self_attn.q_proj"
  uint64_t values = 0;
  uint64_t different = 0;  // that have not the oracle's bits
  double worst = 0.0;      // error over its bound; above 1: wrong
  bool is_exact = false;   // must have the oracle's bits
  bool agrees() const { return is_exact ? different == 0 : worst <= 1.0; }
};

struct LaunchInputs {
  const Graph& graph;
  const Plan& plan;
  const WeightSource& source;
  std::shared_ptr<Device> device;
  std::span<const int32_t> tokens;  // one text
  uint32_t phase = 0;
};

// All launches in the order of the graph.
//
// Requires  `oracle` follows the arithmetic of the device (numerics_of)
// Errors  those of the device, naming the op
Result<std::vector<LaunchResult>> check_launches(const LaunchInputs& inputs,
                                                 const Oracle& oracle);

}  // namespace tessera
