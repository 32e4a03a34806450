// SPDX-License-Identifier: Apache-2.0
//
// Static scales of int8 attention: what a calibrated file says, and the
// constants that the ops of a graph read.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera {

struct Graph;

// The scales of one layer.
//
// Shapes  TSR_KV_I8_CHANNEL: k, v [num_kv_heads, head_dim], q empty
//         TSR_KV_I8_HEAD: k, v [num_kv_heads], q [num_q_heads]
struct AttentionScales {
  uint32_t kv_format = 0;  // TSR_KV_I8_CHANNEL or TSR_KV_I8_HEAD
  std::vector<float> q;
  std::vector<float> k;  // after RoPE
  std::vector<float> v;

  bool operator==(const AttentionScales&) const = default;
};

// Gives kv_append and attention of each layer whose KV format has static scales
// the constants that ops.h asks for, from GraphKv::stored.
//
// Shapes   kv_formats: TSR_KV_* of each entry of graph.kv
// Errors   FAILED_PRECONDITION, naming the op, for a layer without scales of
//          that format; INVALID_ARGUMENT for scales of another shape, or that
//          are not above 0 and finite
// Source   numerics.md section 2: thresholds of fa3
Status bind_attention_scales(std::span<const uint32_t> kv_formats,
                             Graph& graph);

}  // namespace tessera
