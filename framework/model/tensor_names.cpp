// SPDX-License-Identifier: Apache-2.0

#include "framework/model/tensor_names.hpp"

#include <utility>

namespace tessera {

LayerTensorNames layer_tensor_names(uint32_t layer) {
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const std::string attention = prefix + "self_attn.";
  const std::string mlp = prefix + "mlp.";
  LayerTensorNames names;
  names.attention_norm = prefix + "input_layernorm.weight";
  names.q_proj = attention + "q_proj.weight";
  names.k_proj = attention + "k_proj.weight";
  names.v_proj = attention + "v_proj.weight";
  names.o_proj = attention + "o_proj.weight";
  names.q_bias = attention + "q_proj.bias";
  names.k_bias = attention + "k_proj.bias";
  names.v_bias = attention + "v_proj.bias";
  names.o_bias = attention + "o_proj.bias";
  names.q_norm = attention + "q_norm.weight";
  names.k_norm = attention + "k_norm.weight";
  names.mlp_norm = prefix + "post_attention_layernorm.weight";
  names.gate_proj = mlp + "gate_proj.weight";
  names.up_proj = mlp + "up_proj.weight";
  names.down_proj = mlp + "down_proj.weight";
  names.gate_bias = mlp + "gate_proj.bias";
  names.up_bias = mlp + "up_proj.bias";
  names.down_bias = mlp + "down_proj.bias";
  return names;
}

std::vector<TensorSpec> required_tensors(const ModelConfig& config) {
  const uint64_t hidden = config.hidden_size;
  const uint64_t inner = config.intermediate_size;
  const uint64_t q = uint64_t{config.num_q_heads} * config.head_dim;
  const uint64_t kv = uint64_t{config.num_kv_heads} * config.head_dim;

  std::vector<TensorSpec> specs;
  const auto need = [&specs](std::string name, std::vector<uint64_t> shape) {
    specs.push_back({std::move(name), std::move(shape)});
  };
  need(kEmbeddingName, {config.vocab_size, hidden});
  for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
    const LayerTensorNames names = layer_tensor_names(layer);
    need(names.attention_norm, {hidden});
    need(names.q_proj, {q, hidden});
    need(names.k_proj, {kv, hidden});
    need(names.v_proj, {kv, hidden});
    need(names.o_proj, {hidden, q});
    if (config.qkv_bias) {
      need(names.q_bias, {q});
      need(names.k_bias, {kv});
      need(names.v_bias, {kv});
    }
    if (config.o_bias) need(names.o_bias, {hidden});
    if (config.qk_norm) {
      need(names.q_norm, {config.head_dim});
      need(names.k_norm, {config.head_dim});
    }
    need(names.mlp_norm, {hidden});
    need(names.gate_proj, {inner, hidden});
    need(names.up_proj, {inner, hidden});
    need(names.down_proj, {hidden, inner});
    if (config.mlp_bias) {
      need(names.gate_bias, {inner});
      need(names.up_bias, {inner});
      need(names.down_bias, {hidden});
    }
  }
  need(kFinalNormName, {hidden});
  if (!config.tie_word_embeddings) need(kHeadName, {config.vocab_size, hidden});
  return specs;
}

}  // namespace tessera
