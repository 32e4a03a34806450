// SPDX-License-Identifier: Apache-2.0

#include "framework/model/build_graph.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "framework/graph/graph_builder.hpp"
#include "framework/model/rope.hpp"
#include "framework/model/tensor_names.hpp"

namespace tessera {
namespace {

// Builds one model; the members are what every layer shares.
class DecoderBuilder {
 public:
  DecoderBuilder(const ModelConfig& config, uint32_t max_context)
      : config_(config) {
    RopeTable table = build_rope_table(config, max_context);
    token_ids_ = builder_.step_tensor(TSR_ROLE_TOKEN_IDS);
    positions_ = builder_.step_tensor(TSR_ROLE_POSITIONS);
    rope_table_ = builder_.table("rope_table", {max_context, config.head_dim},
                                 std::move(table.values));
  }

  Result<Graph> build() {
    const uint32_t embeddings = builder_.constant(
        kEmbeddingName, {config_.vocab_size, config_.hidden_size});
    uint32_t x = builder_.embedding(embeddings, token_ids_, Precision::kF32);
    for (uint32_t layer = 0; layer < config_.num_layers; ++layer) {
      builder_.enter_layer(static_cast<int32_t>(layer));
      const LayerTensorNames names = layer_tensor_names(layer);
      x = attention_part(names, layer, x);
      x = mlp_part(names, layer, x);
    }
    builder_.enter_layer(kAfterLayers);
    return builder_.finish(head(x), config_.num_layers);
  }

 private:
  struct LinearSpec {
    const char* name;
    const std::string& source;
    const std::string& bias;
    bool has_bias;
    uint32_t N;
    uint32_t K;
  };

  uint32_t weight(const LinearSpec& spec, uint32_t layer) {
    GraphWeight weight;
    weight.name = fmt::format("layers.{}.{}", layer, spec.name);
    weight.source = spec.source;
    weight.N = spec.N;
    weight.K = spec.K;
    return builder_.add_weight(std::move(weight));
  }

  uint32_t linear(const LinearSpec& spec, uint32_t layer, uint32_t x,
                  Precision precision) {
    const uint32_t bias =
        spec.has_bias ? builder_.constant(spec.bias, {spec.N}) : TSR_NONE;
    return builder_.linear(spec.name, x, weight(spec, layer), bias, precision);
  }

  // One of q, k, v: [TOKENS, heads, head_dim], normalized per head if the
  // family does that.
  uint32_t heads(const LinearSpec& spec, uint32_t layer, uint32_t x,
                 const std::string& norm) {
    uint32_t y = linear(spec, layer, x, Precision::kActivation);
    builder_.split_heads(y, spec.N / config_.head_dim);
    if (!config_.qk_norm || norm.empty()) return y;
    const std::string name = std::string(spec.name) + "_norm";
    return builder_.rms_norm(
        name, y, builder_.constant(norm, {config_.head_dim}), config_.rms_eps);
  }

  uint32_t attention_part(const LayerTensorNames& names, uint32_t layer,
                          uint32_t x) {
    const uint32_t hidden = config_.hidden_size;
    const uint32_t q_size = config_.num_q_heads * config_.head_dim;
    const uint32_t kv_size = config_.num_kv_heads * config_.head_dim;
    const bool bias = config_.qkv_bias;
    const uint32_t normed = builder_.rms_norm(
        "self_attn.norm", x, builder_.constant(names.attention_norm, {hidden}),
        config_.rms_eps);
    const uint32_t q = heads(
        {"self_attn.q_proj", names.q_proj, names.q_bias, bias, q_size, hidden},
        layer, normed, names.q_norm);
    const uint32_t k = heads(
        {"self_attn.k_proj", names.k_proj, names.k_bias, bias, kv_size, hidden},
        layer, normed, names.k_norm);
    const uint32_t v = heads(
        {"self_attn.v_proj", names.v_proj, names.v_bias, bias, kv_size, hidden},
        layer, normed, "");
    const uint32_t attended = attention(layer, q, k, v);
    const uint32_t projected =
        linear({"self_attn.o_proj", names.o_proj, names.o_bias, config_.o_bias,
                hidden, q_size},
               layer, attended, Precision::kF32);
    return builder_.add("self_attn.residual", x, projected);
  }

  uint32_t attention(uint32_t layer, uint32_t q, uint32_t k, uint32_t v) {
    const uint32_t kv =
        builder_.add_kv({config_.num_kv_heads, config_.head_dim});
    tsr_op_kv_append append{};
    append.k = k;
    append.v = v;
    append.kv = kv;
    append.slot_mapping = builder_.step_tensor(TSR_ROLE_SLOT_MAPPING);
    append.positions = positions_;
    append.table = rope_table_;
    append.style = TSR_ROPE_HALF;
    append.rotary_dim = config_.head_dim;
    append.kv_inv = TSR_NONE;
    builder_.kv_append("self_attn.kv_append", append);

    tsr_op_attention op{};
    op.q = builder_.rope("self_attn.rope", q, positions_, rope_table_,
                         config_.head_dim);
    op.kv = kv;
    op.q_starts = builder_.step_tensor(TSR_ROLE_Q_STARTS);
    op.seq_lens = builder_.step_tensor(TSR_ROLE_SEQ_LENS);
    op.block_table = builder_.step_tensor(TSR_ROLE_BLOCK_TABLE);
    op.num_q_heads = config_.num_q_heads;
    op.window = config_.layer_windows[layer];
    op.mask = op.window == 0 ? TSR_MASK_CAUSAL : TSR_MASK_SLIDING;
    op.scale =
        static_cast<float>(1.0 / std::sqrt(double{1.0} * config_.head_dim));
    op.q_inv = op.q_scale = op.kv_scale = op.thresholds = TSR_NONE;
    return builder_.attention("self_attn.attention", op);
  }

  uint32_t mlp_part(const LayerTensorNames& names, uint32_t layer, uint32_t x) {
    const uint32_t hidden = config_.hidden_size;
    const uint32_t inner = config_.intermediate_size;
    const bool bias = config_.mlp_bias;
    const uint32_t normed = builder_.rms_norm(
        "mlp.norm", x, builder_.constant(names.mlp_norm, {hidden}),
        config_.rms_eps);
    const uint32_t gate = linear({"mlp.gate_proj", names.gate_proj,
                                  names.gate_bias, bias, inner, hidden},
                                 layer, normed, Precision::kActivation);
    const uint32_t up = linear(
        {"mlp.up_proj", names.up_proj, names.up_bias, bias, inner, hidden},
        layer, normed, Precision::kActivation);
    const uint32_t gated = builder_.silu_mul("mlp.silu_mul", gate, up);
    const uint32_t down = linear({"mlp.down_proj", names.down_proj,
                                  names.down_bias, bias, hidden, inner},
                                 layer, gated, Precision::kF32);
    return builder_.add("mlp.residual", x, down);
  }

  uint32_t head(uint32_t x) {
    const uint32_t rows =
        builder_.gather_rows(x, builder_.step_tensor(TSR_ROLE_OUTPUT_ROWS));
    const uint32_t normed = builder_.rms_norm(
        "norm", rows, builder_.constant(kFinalNormName, {config_.hidden_size}),
        config_.rms_eps);
    GraphWeight weight;
    weight.name = "lm_head";
    weight.source = config_.tie_word_embeddings ? kEmbeddingName : kHeadName;
    weight.N = config_.vocab_size;
    weight.K = config_.hidden_size;
    weight.is_head = true;
    return builder_.linear("lm_head", normed,
                           builder_.add_weight(std::move(weight)), TSR_NONE,
                           Precision::kF32);
  }

  const ModelConfig& config_;
  GraphBuilder builder_;
  uint32_t token_ids_ = TSR_NONE;
  uint32_t positions_ = TSR_NONE;
  uint32_t rope_table_ = TSR_NONE;
};

}  // namespace

Result<Graph> build_graph(const ModelConfig& config, uint32_t max_context) {
  if (max_context == 0 || max_context > config.max_positions) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("context {} is not from 1 to {}", max_context,
                              config.max_positions));
  }
  if (config.activation != Activation::kSilu) {
    return Status(TSR_UNIMPLEMENTED, "hidden_act: only silu is supported");
  }
  return DecoderBuilder(config, max_context).build();
}

}  // namespace tessera
