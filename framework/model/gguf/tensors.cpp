// SPDX-License-Identifier: Apache-2.0

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/model/gguf/model.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

struct Renamed {
  std::string name;
  uint32_t rope_heads = 0;
};

void add_layer(uint32_t layer, std::pair<uint32_t, uint32_t> rope_heads,
               std::unordered_map<std::string, Renamed>& renamed) {
  const LayerTensorNames n = layer_tensor_names(layer);
  const std::string prefix = fmt::format("blk.{}.", layer);
  const auto add = [&](const char* from, std::string to, uint32_t heads = 0) {
    renamed[prefix + from] = {std::move(to), heads};
  };
  add("attn_norm.weight", n.attention_norm);
  add("attn_q.weight", n.q_proj, rope_heads.first);
  add("attn_q.bias", n.q_bias, rope_heads.first);
  add("attn_k.weight", n.k_proj, rope_heads.second);
  add("attn_k.bias", n.k_bias, rope_heads.second);
  add("attn_v.weight", n.v_proj);
  add("attn_v.bias", n.v_bias);
  add("attn_output.weight", n.o_proj);
  add("attn_output.bias", n.o_bias);
  add("attn_q_norm.weight", n.q_norm);
  add("attn_k_norm.weight", n.k_norm);
  add("ffn_norm.weight", n.mlp_norm);
  add("ffn_gate.weight", n.gate_proj);
  add("ffn_gate.bias", n.gate_bias);
  add("ffn_up.weight", n.up_proj);
  add("ffn_up.bias", n.up_bias);
  add("ffn_down.weight", n.down_proj);
  add("ffn_down.bias", n.down_bias);
}

constexpr std::string_view kScale = ".scale";

// What multiplies the blocks of a matrix, by the matrix's name.
std::unordered_map<std::string, const GgufTensor*> tensor_scales(
    const Gguf& file) {
  std::unordered_map<std::string, const GgufTensor*> scales;
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kScale)) continue;
    const size_t stem = tensor.name.size() - kScale.size();
    scales[tensor.name.substr(0, stem) + ".weight"] = &tensor;
  }
  return scales;
}

Result<float> read_scale(const Gguf& file, const GgufTensor& tensor) {
  if (tensor.type->dtype != TSR_F32 || tensor.data.size() != sizeof(float)) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("{}: tensor {} is not one number in F32",
                              file.source(), tensor.name));
  }
  return format::load_element<float>(tensor.data.data(), 0);
}

}  // namespace

Result<std::vector<TensorView>> gguf_tensors(const Gguf& file,
                                             uint32_t num_layers) {
  TSR_ASSIGN_OR_RETURN(const std::string arch,
                       file.string("general.architecture"));
  std::pair<uint32_t, uint32_t> rope_heads{0, 0};
  if (arch == "llama") {
    TSR_ASSIGN_OR_RETURN(const int64_t q,
                         file.integer("llama.attention.head_count"));
    TSR_ASSIGN_OR_RETURN(const int64_t k,
                         file.integer("llama.attention.head_count_kv", q));
    rope_heads = {static_cast<uint32_t>(q), static_cast<uint32_t>(k)};
  }
  std::unordered_map<std::string, Renamed> renamed;
  renamed["token_embd.weight"] = {kEmbeddingName};
  renamed["output_norm.weight"] = {kFinalNormName};
  renamed["output.weight"] = {kHeadName};
  for (uint32_t layer = 0; layer < num_layers; ++layer) {
    add_layer(layer, rope_heads, renamed);
  }
  const std::unordered_map<std::string, const GgufTensor*> scales =
      tensor_scales(file);
  std::vector<TensorView> views;
  for (const GgufTensor& tensor : file.tensors()) {
    const auto found = renamed.find(tensor.name);
    if (found == renamed.end()) continue;
    TensorView view;
    view.name = found->second.name;
    view.dtype = tensor.type->dtype;
    view.dtype_name = tensor.type->name;
    view.shape = tensor.shape;
    view.data = tensor.data;
    view.weight_format = tensor.shape.size() == 2 ? tensor.type->format : 0;
    view.rope_heads = found->second.rope_heads;
    const auto scale = scales.find(tensor.name);
    if (view.weight_format == TSR_WEIGHT_NVFP4 && scale != scales.end()) {
      TSR_ASSIGN_OR_RETURN(view.tensor_scale, read_scale(file, *scale->second));
    }
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace tessera
