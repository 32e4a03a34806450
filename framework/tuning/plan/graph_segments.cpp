// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/graph_segments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace tessera {
namespace {

constexpr uint32_t kNever = UINT32_MAX;

// The last op that reads each value, kNever if none does.
std::vector<uint32_t> last_reads(const Graph& graph) {
  std::vector<uint32_t> last(graph.tensors.size(), kNever);
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    for (const uint32_t id : op_tensors(graph.ops[i].body).reads) last[id] = i;
  }
  return last;
}

bool is_residual(const GraphTensor& tensor) {
  return tensor.precision == Precision::kF32 && !tensor.dims.empty() &&
         tensor.dims[0].symbol == TSR_DIM_TOKENS;
}

std::string name_of(const Graph& graph, const GraphSegment& segment) {
  if (segment.layer == kBeforeLayers) return "embedding";
  if (segment.layer == kAfterLayers) return "head";
  const std::string& op = graph.ops[segment.first].name;
  return op.substr(0, op.rfind('.'));
}

std::string shape_text(const GraphTensor& tensor) {
  std::string text;
  for (const tsr_dim& dim : tensor.dims) {
    text += dim.symbol == TSR_DIM_FIXED ? fmt::format("{}x", dim.max) : "Mx";
  }
  return text;
}

std::string signature_of(const Graph& graph, const GraphSegment& segment) {
  std::string text;
  for (uint32_t i = segment.first; i < segment.last; ++i) {
    const GraphOpBody& body = graph.ops[i].body;
    text += op_kind_name(op_head(body).kind);
    for (const uint32_t id : op_tensors(body).writes) {
      text += " " + shape_text(graph.tensors[id]);
    }
    if (const auto* linear = std::get_if<tsr_op_linear>(&body)) {
      const GraphWeight& weight = graph.weights[linear->weight];
      text += fmt::format(" {}x{}{}", weight.N, weight.K,
                          linear->bias == TSR_NONE ? "" : " bias");
    }
    if (const auto* attention = std::get_if<tsr_op_attention>(&body)) {
      const GraphKv& kv = graph.kv[attention->kv];
      text += fmt::format(" {} {} {} {}", attention->num_q_heads,
                          kv.num_kv_heads, kv.head_dim, attention->window);
    }
    text += ";";
  }
  return text;
}

void add_parts(const Graph& graph, GraphSegment& segment) {
  for (uint32_t i = segment.first; i < segment.last; ++i) {
    const GraphOpBody& body = graph.ops[i].body;
    if (const auto* linear = std::get_if<tsr_op_linear>(&body)) {
      if (!graph.weights[linear->weight].is_head) {
        segment.weights.push_back(linear->weight);
      }
    } else if (const auto* attention = std::get_if<tsr_op_attention>(&body)) {
      segment.kv.push_back(attention->kv);
    }
  }
}

}  // namespace

std::string name_in_layer(const std::string& name) {
  constexpr std::string_view kLayers = "layers.";
  if (!name.starts_with(kLayers)) return name;
  const size_t dot = name.find('.', kLayers.size());
  return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::vector<GraphSegment> cut_segments(const Graph& graph) {
  const std::vector<uint32_t> last = last_reads(graph);
  std::vector<GraphSegment> segments;
  std::vector<uint32_t> live;  // values written and still to be read
  GraphSegment segment;
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    for (const uint32_t id : op_tensors(graph.ops[i].body).writes) {
      if (last[id] != kNever && last[id] > i) live.push_back(id);
    }
    std::erase_if(live, [&](uint32_t id) { return last[id] <= i; });
    const bool is_end = i + 1 == graph.ops.size();
    const bool only_residual =
        live.size() == 1 && is_residual(graph.tensors[live[0]]);
    if (!is_end && !only_residual) continue;
    segment.last = i + 1;
    segment.layer = graph.ops[segment.first].layer;
    segment.out_tensor = is_end ? TSR_NONE : live[0];
    segment.name = name_of(graph, segment);
    segment.signature = signature_of(graph, segment);
    add_parts(graph, segment);
    segments.push_back(std::exchange(segment, {}));
    segment.first = i + 1;
  }
  return segments;
}

}  // namespace tessera
