// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/attention_observer.hpp"

#include <fmt/format.h>

#include <utility>

namespace tessera::quant {

bool has_static_scales(uint32_t kv_format) {
  return kv_format == TSR_KV_I8_CHANNEL || kv_format == TSR_KV_I8_HEAD;
}

Graph with_rotated_keys(Graph graph) {
  std::vector<GraphOp> ops;
  for (GraphOp& op : graph.ops) {
    const auto* append = std::get_if<tsr_op_kv_append>(&op.body);
    if (append == nullptr || append->style == TSR_ROPE_NONE) {
      ops.push_back(std::move(op));
      continue;
    }
    tsr_op_rope rope{};
    rope.op = {sizeof(rope), sizeof(rope), TSR_OP_ROPE, 0};
    rope.x = append->k;
    rope.y = static_cast<uint32_t>(graph.tensors.size());
    rope.positions = append->positions;
    rope.table = append->table;
    rope.style = append->style;
    rope.rotary_dim = append->rotary_dim;
    GraphTensor keys = graph.tensors[append->k];
    keys.name = op.name + ".rotated_keys";
    graph.tensors.push_back(std::move(keys));
    GraphOp added{op.name + ".rotate", op.layer, rope};
    ops.push_back(std::move(op));
    ops.push_back(std::move(added));
  }
  graph.ops = std::move(ops);
  return graph;
}

AttentionInputs attention_inputs(const Graph& graph, uint32_t layer) {
  AttentionInputs inputs;
  uint32_t keys = TSR_NONE;  // before RoPE
  for (const GraphOp& op : graph.ops) {
    if (op.layer != static_cast<int32_t>(layer)) continue;
    if (const auto* append = std::get_if<tsr_op_kv_append>(&op.body)) {
      keys = inputs.k = append->k;
      inputs.v = append->v;
    } else if (const auto* rope = std::get_if<tsr_op_rope>(&op.body)) {
      if (rope->x == keys) inputs.k = rope->y;
    } else if (const auto* attention =
                   std::get_if<tsr_op_attention>(&op.body)) {
      inputs.q = attention->q;
    }
  }
  return inputs;
}

Result<AttentionObserver> AttentionObserver::create(
    uint32_t kv_format, const AttentionShape& shape) {
  if (!has_static_scales(kv_format)) {
    return Status(TSR_INVALID_ARGUMENT,
                  fmt::format("KV format {} has no static scales", kv_format));
  }
  AttentionObserver observer(kv_format);
  if (kv_format == TSR_KV_I8_HEAD) {
    for (const uint32_t num_heads :
         {shape.num_q_heads, shape.num_kv_heads, shape.num_kv_heads}) {
      TSR_ASSIGN_OR_RETURN(HeadObserver head,
                           HeadObserver::create(num_heads, shape.head_dim));
      observer.heads_.push_back(std::move(head));
    }
    return observer;
  }
  for (int i = 0; i < 2; ++i) {
    TSR_ASSIGN_OR_RETURN(
        InputStatistics channels,
        InputStatistics::create(shape.num_kv_heads * shape.head_dim, false));
    observer.channels_.push_back(std::move(channels));
  }
  return observer;
}

Status AttentionObserver::add(std::span<const float> q,
                              std::span<const float> k,
                              std::span<const float> v) {
  if (kv_format_ == TSR_KV_I8_HEAD) {
    TSR_RETURN_IF_ERROR(heads_[0].add(q).annotate("Q"));
    TSR_RETURN_IF_ERROR(heads_[1].add(k).annotate("K"));
    return heads_[2].add(v).annotate("V");
  }
  TSR_RETURN_IF_ERROR(channels_[0].add(k, run_serially()).annotate("K"));
  return channels_[1].add(v, run_serially()).annotate("V");
}

Result<AttentionScales> AttentionObserver::scales() const {
  AttentionScales scales;
  scales.kv_format = kv_format_;
  if (kv_format_ == TSR_KV_I8_HEAD) {
    TSR_ASSIGN_OR_RETURN(scales.q, heads_[0].scales());
    TSR_ASSIGN_OR_RETURN(scales.k, heads_[1].scales());
    TSR_ASSIGN_OR_RETURN(scales.v, heads_[2].scales());
    return scales;
  }
  TSR_ASSIGN_OR_RETURN(ChannelScales k,
                       choose_channel_scales(channels_[0].columns(), true));
  TSR_ASSIGN_OR_RETURN(ChannelScales v,
                       choose_channel_scales(channels_[1].columns(), true));
  scales.k = std::move(k.scale);
  scales.v = std::move(v.scale);
  return scales;
}

}  // namespace tessera::quant
