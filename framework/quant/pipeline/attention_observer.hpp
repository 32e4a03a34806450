// SPDX-License-Identifier: Apache-2.0
//
// Finds the static scales of int8 attention from what a layer computes.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "framework/base/status.hpp"
#include "framework/graph/attention_scales.hpp"
#include "framework/graph/graph.hpp"
#include "framework/quant/activations/head_observer.hpp"
#include "framework/quant/activations/input_statistics.hpp"

namespace tessera::quant {

// True for the TSR_KV_* whose scales come from calibration.
bool has_static_scales(uint32_t kv_format);

// What one attention reads, as tensors of its graph.
struct AttentionInputs {
  uint32_t q = TSR_NONE;  // after RoPE
  uint32_t k = TSR_NONE;  // likewise
  uint32_t v = TSR_NONE;
};

// Adds to each layer its keys after RoPE, which kv_append does not give away.
Graph with_rotated_keys(Graph graph);

// Requires  a graph of with_rotated_keys with that layer
AttentionInputs attention_inputs(const Graph& graph, uint32_t layer);

struct AttentionShape {
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
};

// I8_HEAD: symmetric, per head, of the range that holds 0.9999 of a batch's
// values.  I8_CHANNEL: symmetric, absmax per channel of K and V.
class AttentionObserver {
 public:
  // Errors  INVALID_ARGUMENT if the format has no static scales or a size is 0
  static Result<AttentionObserver> create(uint32_t kv_format,
                                          const AttentionShape& shape);

  // Takes a batch: q [num_tokens, num_q_heads, head_dim], k and v
  // [num_tokens, num_kv_heads, head_dim].
  //
  // Errors  INVALID_ARGUMENT for a wrong size, NaN or infinity
  Status add(std::span<const float> q, std::span<const float> k,
             std::span<const float> v);

  // Errors  FAILED_PRECONDITION without a batch
  Result<AttentionScales> scales() const;

 private:
  explicit AttentionObserver(uint32_t kv_format) : kv_format_(kv_format) {}

  uint32_t kv_format_;
  std::vector<HeadObserver> heads_;        // q, k, v; I8_HEAD only
  std::vector<InputStatistics> channels_;  // k, v; I8_CHANNEL only
};

}  // namespace tessera::quant
