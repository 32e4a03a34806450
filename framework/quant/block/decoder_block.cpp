// SPDX-License-Identifier: Apache-2.0
//
// Shapes of a block, and folding of scales.

#include "framework/quant/block/decoder_block.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>

namespace tessera::quant {
namespace {

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

struct LinearShape {
  std::string_view name;
  const FloatLinear* linear;
  uint64_t N;
  uint64_t K;
};

std::string shape(uint64_t N, uint64_t K) {
  return "[" + std::to_string(N) + ", " + std::to_string(K) + "]";
}

Status check_linear(const LinearShape& expected) {
  const FloatLinear& linear = *expected.linear;
  const std::string name(expected.name);
  if (linear.N != expected.N || linear.K != expected.K ||
      linear.weight.size() != expected.N * expected.K ||
      (!linear.bias.empty() && linear.bias.size() != expected.N)) {
    return Status(TSR_INVALID_ARGUMENT,
                  name + ": " + shape(linear.N, linear.K) + " with " +
                      std::to_string(linear.weight.size()) + " weights and " +
                      std::to_string(linear.bias.size()) +
                      " biases instead of " + shape(expected.N, expected.K));
  }
  for (uint32_t n = 0; n < linear.N; ++n) {
    const std::span<const float> weight(linear.weight);
    if (all_finite(weight.subspan(size_t{n} * linear.K, linear.K)) &&
        (linear.bias.empty() || std::isfinite(linear.bias[n]))) {
      continue;
    }
    return Status(TSR_INVALID_ARGUMENT,
                  name + ": row " + std::to_string(n) + " is not finite");
  }
  return {};
}

Status check_norm(std::string_view name, std::span<const float> weight,
                  uint32_t hidden_size) {
  if (weight.size() == hidden_size && all_finite(weight)) return {};
  return Status(TSR_INVALID_ARGUMENT,
                std::string(name) + ": " + std::to_string(weight.size()) +
                    " weights instead of " + std::to_string(hidden_size) +
                    ", or not finite");
}

void scale_columns(std::span<const float> s, FloatLinear* linear) {
  for (size_t n = 0; n < linear->N; ++n) {
    for (size_t k = 0; k < linear->K; ++k)
      linear->weight[n * linear->K + k] *= s[k];
  }
}

void divide_rows(std::span<const float> s, FloatLinear* linear) {
  for (size_t n = 0; n < linear->N; ++n) {
    for (size_t k = 0; k < linear->K; ++k)
      linear->weight[n * linear->K + k] /= s[n];
    if (!linear->bias.empty()) linear->bias[n] /= s[n];
  }
}

Status check_scales(std::span<const float> s, size_t count) {
  if (s.size() != count) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(s.size()) + " scales for " +
                      std::to_string(count) + " channels");
  }
  for (size_t i = 0; i < s.size(); ++i) {
    if (std::isfinite(s[i]) && s[i] > 0.0f) continue;
    return Status(TSR_INVALID_ARGUMENT, "scale of channel " +
                                            std::to_string(i) + " is " +
                                            std::to_string(s[i]));
  }
  return {};
}

Status check_folded(std::span<const float> values) {
  if (all_finite(values)) return {};
  return Status(TSR_INVALID_ARGUMENT, "a scaled weight overflows");
}

}  // namespace

Status check_block(const DecoderBlock& block) {
  if (block.hidden_size == 0 || block.head_dim == 0 ||
      block.num_kv_heads == 0 || block.num_q_heads == 0 ||
      block.num_q_heads % block.num_kv_heads != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  "block of hidden_size=" + std::to_string(block.hidden_size) +
                      ", " + std::to_string(block.num_q_heads) + " heads, " +
                      std::to_string(block.num_kv_heads) + " KV heads of " +
                      std::to_string(block.head_dim));
  }
  TSR_RETURN_IF_ERROR(
      check_norm("attention_norm", block.attention_norm, block.hidden_size));
  TSR_RETURN_IF_ERROR(
      check_norm("mlp_norm", block.mlp_norm, block.hidden_size));
  const uint64_t hidden = block.hidden_size;
  const uint64_t q_size = uint64_t{block.num_q_heads} * block.head_dim;
  const uint64_t kv_size = uint64_t{block.num_kv_heads} * block.head_dim;
  const uint64_t ffn = block.up.N;
  for (const LinearShape& expected : {
           LinearShape{"q", &block.q, q_size, hidden},
           LinearShape{"k", &block.k, kv_size, hidden},
           LinearShape{"v", &block.v, kv_size, hidden},
           LinearShape{"o", &block.o, hidden, q_size},
           LinearShape{"gate", &block.gate, ffn, hidden},
           LinearShape{"up", &block.up, ffn, hidden},
           LinearShape{"down", &block.down, hidden, ffn},
       }) {
    TSR_RETURN_IF_ERROR(check_linear(expected));
  }
  return {};
}

std::vector<FloatLinear*> consumers(Subgraph subgraph, DecoderBlock* block) {
  switch (subgraph) {
    case Subgraph::kNormAttention:
      return {&block->q, &block->k, &block->v};
    case Subgraph::kNormMlp:
      return {&block->gate, &block->up};
    case Subgraph::kValueOutput:
      return {&block->o};
    default:
      return {&block->down};
  }
}

std::vector<uint32_t> channel_map(Subgraph subgraph,
                                  const DecoderBlock& block) {
  if (subgraph != Subgraph::kValueOutput) {
    const bool is_down = subgraph == Subgraph::kUpDown;
    std::vector<uint32_t> identity(is_down ? block.down.K : block.hidden_size);
    std::iota(identity.begin(), identity.end(), 0U);
    return identity;
  }
  std::vector<uint32_t> channels(block.o.K);
  const uint32_t q_heads_per_kv = block.num_q_heads / block.num_kv_heads;
  for (uint32_t column = 0; column < block.o.K; ++column) {
    const uint32_t kv_head = column / block.head_dim / q_heads_per_kv;
    channels[column] = kv_head * block.head_dim + column % block.head_dim;
  }
  return channels;
}

std::vector<float> merge_columns(std::span<const uint32_t> channels,
                                 std::span<const float> per_column) {
  std::vector<float> merged(
      channels.empty()
          ? 0
          : *std::max_element(channels.begin(), channels.end()) + size_t{1});
  for (size_t column = 0; column < channels.size(); ++column) {
    float& value = merged[channels[column]];
    value = std::max(value, per_column[column]);
  }
  return merged;
}

std::vector<float> spread_channels(std::span<const uint32_t> channels,
                                   std::span<const float> per_channel) {
  std::vector<float> spread;
  spread.reserve(channels.size());
  for (const uint32_t channel : channels)
    spread.push_back(per_channel[channel]);
  return spread;
}

Status fold_scales(Subgraph subgraph, std::span<const float> s,
                   DecoderBlock* block) {
  const std::vector<uint32_t> channels = channel_map(subgraph, *block);
  TSR_RETURN_IF_ERROR(check_scales(s, size_t{channels.back()} + 1));
  const bool is_attention = subgraph == Subgraph::kNormAttention;
  if (is_attention || subgraph == Subgraph::kNormMlp) {
    auto& norm = is_attention ? block->attention_norm : block->mlp_norm;
    for (size_t i = 0; i < norm.size(); ++i) norm[i] /= s[i];
    TSR_RETURN_IF_ERROR(check_folded(norm));
  } else {
    FloatLinear& producer =
        subgraph == Subgraph::kValueOutput ? block->v : block->up;
    divide_rows(s, &producer);
    TSR_RETURN_IF_ERROR(check_folded(producer.weight));
  }
  const std::vector<float> columns = spread_channels(channels, s);
  for (FloatLinear* linear : consumers(subgraph, block)) {
    scale_columns(columns, linear);
    TSR_RETURN_IF_ERROR(check_folded(linear->weight));
  }
  return {};
}

Status fold_linear_pair(std::span<const float> s, FloatLinear* first,
                        FloatLinear* second) {
  TSR_RETURN_IF_ERROR(check_scales(s, second->K));
  if (first->N != second->K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "linear pair " + shape(first->N, first->K) + " and " +
                      shape(second->N, second->K));
  }
  divide_rows(s, first);
  scale_columns(s, second);
  TSR_RETURN_IF_ERROR(check_folded(first->weight));
  return check_folded(second->weight);
}

}  // namespace tessera::quant
