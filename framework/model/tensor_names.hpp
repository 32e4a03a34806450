// SPDX-License-Identifier: Apache-2.0
//
// What Hugging Face calls the tensors of a Llama, Mistral, Qwen2 or Qwen3, and
// the shapes they must have.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/model/config.hpp"

namespace tessera {

inline constexpr const char* kEmbeddingName = "model.embed_tokens.weight";
inline constexpr const char* kFinalNormName = "model.norm.weight";
inline constexpr const char* kHeadName = "lm_head.weight";  // absent if tied

struct LayerTensorNames {
  std::string attention_norm;  // [hidden_size]
  std::string q_proj;          // [num_q_heads * head_dim, hidden_size]
  std::string k_proj;          // [num_kv_heads * head_dim, hidden_size]
  std::string v_proj;          // likewise
  std::string o_proj;          // [hidden_size, num_q_heads * head_dim]
  std::string q_bias;          // [rows of its weight]; likewise the others
  std::string k_bias;
  std::string v_bias;
  std::string o_bias;
  std::string q_norm;     // [head_dim]
  std::string k_norm;     // [head_dim]
  std::string mlp_norm;   // [hidden_size]
  std::string gate_proj;  // [intermediate_size, hidden_size]
  std::string up_proj;    // likewise
  std::string down_proj;  // [hidden_size, intermediate_size]
  std::string gate_bias;
  std::string up_bias;
  std::string down_bias;
};

// All names of layer `layer`, whether the model has such a tensor or not.
LayerTensorNames layer_tensor_names(uint32_t layer);

struct TensorSpec {
  std::string name;
  std::vector<uint64_t> shape;
};

// Every tensor that a model of this configuration needs.
std::vector<TensorSpec> required_tensors(const ModelConfig& config);

}  // namespace tessera
