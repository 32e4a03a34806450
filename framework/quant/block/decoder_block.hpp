// SPDX-License-Identifier: Apache-2.0
//
// One decoder block's float weights, and the ways to move scale between them
// that leave its function as it was.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// y = x . W^T + bias
struct FloatLinear {
  uint32_t N = 0;
  uint32_t K = 0;
  std::vector<float> weight;  // [N, K]
  std::vector<float> bias;    // [N], or empty
};

// Pre-norm attention and a gated feed-forward network:
//
//   h = x + o(attention(q(n1(x)), k(n1(x)), v(n1(x))))
//   y = h + down(act(gate(n2(h))) * up(n2(h)))
//
// with RMS norms n1 and n2 of weights attention_norm and mlp_norm (for a model
// that multiplies by 1 + w: that sum).  What lies between q, k and the scores,
// norms per head and RoPE, is untouched by everything here.
struct DecoderBlock {
  uint32_t hidden_size = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;
  uint32_t head_dim = 0;
  std::vector<float> attention_norm;  // [hidden_size]
  std::vector<float> mlp_norm;        // [hidden_size]
  FloatLinear q;                      // N = num_q_heads * head_dim
  FloatLinear k;                      // N = num_kv_heads * head_dim
  FloatLinear v;                      // likewise
  FloatLinear o;                      // K = num_q_heads * head_dim
  FloatLinear gate;
  FloatLinear up;
  FloatLinear down;
};

// Errors  INVALID_ARGUMENT, naming the part, if shapes do not fit together,
//         num_q_heads is no multiple of num_kv_heads, or a value is not finite
Status check_block(const DecoderBlock& block);

// Pairs whose first part can be divided by a positive scale s per channel and
// the second multiplied by it.
enum class Subgraph {
  kNormAttention,  // attention_norm -> q, k, v; s [hidden_size]
  kNormMlp,        // mlp_norm -> gate, up; s [hidden_size]
  kValueOutput,    // v -> o; s [num_kv_heads * head_dim], shared by the q heads
                   // that read a KV head
  kUpDown,         // up -> down; s [K of down]
};

// The linears that read the scaled channels.
std::vector<FloatLinear*> consumers(Subgraph subgraph, DecoderBlock* block);

// The channel of s that each input column of the consumers reads: the identity,
// save where q heads share a v channel.
std::vector<uint32_t> channel_map(Subgraph subgraph, const DecoderBlock& block);

// Per channel, the largest of its columns' values, none of which is negative.
std::vector<float> merge_columns(std::span<const uint32_t> channels,
                                 std::span<const float> per_column);

// Per column, the value of its channel.
std::vector<float> spread_channels(std::span<const uint32_t> channels,
                                   std::span<const float> per_channel);

// Divides the producer's channels (weight and bias) by s and multiplies the
// consumers' columns by it; each product is rounded once.
//
// Requires  block passed check_block
// Errors    INVALID_ARGUMENT if s has another size or an element is not
//           positive and finite, or a weight would overflow (the block is then
//           partly scaled)
Status fold_scales(Subgraph subgraph, std::span<const float> s,
                   DecoderBlock* block);

// The same for two linears in a row, y = second(first(x)).
Status fold_linear_pair(std::span<const float> s, FloatLinear* first,
                        FloatLinear* second);

}  // namespace tessera::quant
