// SPDX-License-Identifier: Apache-2.0

#include "framework/model/gguf/names.hpp"

#include "framework/model/tensor_names.hpp"

namespace tessera {

std::map<std::string, GgufName> gguf_names(const ModelConfig& config) {
  const bool interleaved = config.family == ModelFamily::kLlama;
  const uint32_t q_heads = interleaved ? config.num_q_heads : 0;
  const uint32_t k_heads = interleaved ? config.num_kv_heads : 0;

  std::map<std::string, GgufName> names;
  names[kEmbeddingName] = {"token_embd.weight"};
  names[kFinalNormName] = {"output_norm.weight"};
  names[kHeadName] = {"output.weight"};
  for (uint32_t layer = 0; layer < config.num_layers; ++layer) {
    const LayerTensorNames here = layer_tensor_names(layer);
    const std::string block = "blk." + std::to_string(layer) + ".";
    names[here.attention_norm] = {block + "attn_norm.weight"};
    names[here.q_proj] = {block + "attn_q.weight", q_heads};
    names[here.k_proj] = {block + "attn_k.weight", k_heads};
    names[here.v_proj] = {block + "attn_v.weight"};
    names[here.o_proj] = {block + "attn_output.weight"};
    names[here.q_bias] = {block + "attn_q.bias", q_heads};
    names[here.k_bias] = {block + "attn_k.bias", k_heads};
    names[here.v_bias] = {block + "attn_v.bias"};
    names[here.o_bias] = {block + "attn_output.bias"};
    names[here.q_norm] = {block + "attn_q_norm.weight"};
    names[here.k_norm] = {block + "attn_k_norm.weight"};
    names[here.mlp_norm] = {block + "ffn_norm.weight"};
    names[here.gate_proj] = {block + "ffn_gate.weight"};
    names[here.up_proj] = {block + "ffn_up.weight"};
    names[here.down_proj] = {block + "ffn_down.weight"};
    names[here.gate_bias] = {block + "ffn_gate.bias"};
    names[here.up_bias] = {block + "ffn_up.bias"};
    names[here.down_bias] = {block + "ffn_down.bias"};
  }
  return names;
}

std::vector<uint32_t> interleaved_rows(uint32_t rows, uint32_t heads) {
  const uint32_t width = rows / heads;
  std::vector<uint32_t> order(rows);
  for (uint32_t row = 0; row < rows; ++row) {
    const uint32_t i = row % width;
    order[row] = row - i + i / 2 + (i % 2) * (width / 2);
  }
  return order;
}

}  // namespace tessera
