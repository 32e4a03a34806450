// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/attention_scales.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "framework/format/kv_block.hpp"
#include "framework/graph/graph.hpp"

namespace tessera {
namespace {

constexpr uint32_t kNumThresholds = 127;

bool is_static(uint32_t kv_format) {
  return kv_format == TSR_KV_I8_CHANNEL || kv_format == TSR_KV_I8_HEAD;
}

Status check_values(const std::string& op, const char* what,
                    std::span<const float> scales, size_t wanted) {
  if (scales.size() != wanted) {
    return {TSR_INVALID_ARGUMENT, fmt::format("{}: {} scales of {}, not {}", op,
                                              scales.size(), what, wanted)};
  }
  for (const float scale : scales) {
    if (std::isfinite(scale) && scale > 0.0f) continue;
    return {TSR_INVALID_ARGUMENT,
            fmt::format("{}: a scale of {} is {}", op, what, scale)};
  }
  return {};
}

// The scales of the layer of `op`, checked.
Result<const AttentionScales*> find_scales(const Graph& graph,
                                           const GraphOp& op, uint32_t kv_index,
                                           uint32_t kv_format) {
  const GraphKv& kv = graph.kv[kv_index];
  if (!kv.stored || kv.stored->kv_format != kv_format) {
    return Status(
        TSR_FAILED_PRECONDITION,
        fmt::format("{}: {} needs scales from calibration; quantize "
                    "the model with a scheme that ends in {}",
                    op.name,
                    kv_format == TSR_KV_I8_HEAD
                        ? "int8 attention (fa3)"
                        : "an int8 KV cache per channel",
                    kv_format == TSR_KV_I8_HEAD ? "_fa3" : "_kv8_channel"));
  }
  const size_t count = kv_format == TSR_KV_I8_HEAD
                           ? kv.num_kv_heads
                           : size_t{kv.num_kv_heads} * kv.head_dim;
  TSR_RETURN_IF_ERROR(check_values(op.name, "K", kv.stored->k, count));
  TSR_RETURN_IF_ERROR(check_values(op.name, "V", kv.stored->v, count));
  return &*kv.stored;
}

uint32_t add_constant(Graph& graph, std::string name, Precision precision,
                      const std::vector<uint32_t>& shape) {
  GraphTensor tensor;
  tensor.name = std::move(name);
  tensor.precision = precision;
  tensor.constant = true;
  for (const uint32_t size : shape)
    tensor.dims.push_back({size, TSR_DIM_FIXED});
  graph.tensors.push_back(std::move(tensor));
  return static_cast<uint32_t>(graph.tensors.size() - 1);
}

uint32_t add_floats(Graph& graph, std::string name,
                    const std::vector<uint32_t>& shape,
                    std::vector<float> values) {
  const uint32_t id =
      add_constant(graph, std::move(name), Precision::kF32, shape);
  graph.tensors[id].values = std::move(values);
  return id;
}

std::vector<float> inverse(std::vector<float> scales) {
  for (float& scale : scales) scale = 1.0f / scale;
  return scales;
}

std::vector<float> join(std::vector<float> k, const std::vector<float>& v) {
  k.insert(k.end(), v.begin(), v.end());
  return k;
}

std::vector<uint32_t> kv_shape(const GraphKv& kv, uint32_t kv_format) {
  if (kv_format == TSR_KV_I8_HEAD) return {2, kv.num_kv_heads};
  return {2, kv.num_kv_heads, kv.head_dim};
}

// The largest distance from the row maximum that still gives each code of a
// probability, per query head.
uint32_t add_thresholds(Graph& graph, const GraphOp& op,
                        const tsr_op_attention& attention,
                        const AttentionScales& scales) {
  const uint32_t ratio =
      attention.num_q_heads / graph.kv[attention.kv].num_kv_heads;
  std::vector<int32_t> thresholds(size_t{attention.num_q_heads} *
                                  kNumThresholds);
  for (uint32_t head = 0; head < attention.num_q_heads; ++head) {
    const double c = double{scales.q[head]} * double{scales.k[head / ratio]} *
                     double{attention.scale};
    format::probability_thresholds(
        c,
        std::span<int32_t, kNumThresholds>(
            thresholds.data() + size_t{head} * kNumThresholds, kNumThresholds));
  }
  const uint32_t id =
      add_constant(graph, op.name + ".thresholds", Precision::kIndex,
                   {attention.num_q_heads, kNumThresholds});
  graph.tensors[id].indices = std::move(thresholds);
  return id;
}

Status bind_append(Graph& graph, GraphOp& op, tsr_op_kv_append& append,
                   uint32_t kv_format) {
  TSR_ASSIGN_OR_RETURN(const AttentionScales* scales,
                       find_scales(graph, op, append.kv, kv_format));
  append.kv_inv = add_floats(graph, op.name + ".kv_inv",
                             kv_shape(graph.kv[append.kv], kv_format),
                             inverse(join(scales->k, scales->v)));
  return {};
}

Status bind_attention(Graph& graph, GraphOp& op, tsr_op_attention& attention,
                      uint32_t kv_format) {
  TSR_ASSIGN_OR_RETURN(const AttentionScales* scales,
                       find_scales(graph, op, attention.kv, kv_format));
  attention.kv_scale = add_floats(graph, op.name + ".kv_scale",
                                  kv_shape(graph.kv[attention.kv], kv_format),
                                  join(scales->k, scales->v));
  if (kv_format != TSR_KV_I8_HEAD) return {};
  TSR_RETURN_IF_ERROR(
      check_values(op.name, "Q", scales->q, attention.num_q_heads));
  attention.q_scale = add_floats(graph, op.name + ".q_scale",
                                 {attention.num_q_heads}, scales->q);
  attention.q_inv = add_floats(graph, op.name + ".q_inv",
                               {attention.num_q_heads}, inverse(scales->q));
  attention.thresholds = add_thresholds(graph, op, attention, *scales);
  return {};
}

}  // namespace

Status bind_attention_scales(std::span<const uint32_t> kv_formats,
                             Graph& graph) {
  for (GraphOp& op : graph.ops) {
    if (auto* append = std::get_if<tsr_op_kv_append>(&op.body)) {
      if (!is_static(kv_formats[append->kv])) continue;
      TSR_RETURN_IF_ERROR(
          bind_append(graph, op, *append, kv_formats[append->kv]));
    } else if (auto* attention = std::get_if<tsr_op_attention>(&op.body)) {
      if (!is_static(kv_formats[attention->kv])) continue;
      TSR_RETURN_IF_ERROR(
          bind_attention(graph, op, *attention, kv_formats[attention->kv]));
    }
  }
  return {};
}

}  // namespace tessera
