// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/graph_builder.hpp"

#include <fmt/format.h>

#include <utility>

namespace tessera {
namespace {

struct StepTensor {
  uint32_t role;
  const char* name;
  tsr_dim dim;
};

constexpr StepTensor kStepTensors[] = {
    {TSR_ROLE_TOKEN_IDS, "token_ids", {0, TSR_DIM_TOKENS}},
    {TSR_ROLE_POSITIONS, "positions", {0, TSR_DIM_TOKENS}},
    {TSR_ROLE_Q_STARTS, "q_starts", {0, TSR_DIM_SEQS_PLUS_ONE}},
    {TSR_ROLE_SEQ_LENS, "seq_lens", {0, TSR_DIM_SEQS}},
    {TSR_ROLE_BLOCK_TABLE, "block_table", {0, TSR_DIM_SEQS}},
    {TSR_ROLE_SLOT_MAPPING, "slot_mapping", {0, TSR_DIM_TOKENS}},
    {TSR_ROLE_OUTPUT_ROWS, "output_rows", {0, TSR_DIM_OUTPUTS}},
};

std::vector<tsr_dim> fixed_dims(const std::vector<uint32_t>& shape) {
  std::vector<tsr_dim> dims;
  dims.reserve(shape.size());
  for (const uint32_t size : shape) dims.push_back({size, TSR_DIM_FIXED});
  return dims;
}

}  // namespace

uint32_t GraphBuilder::add_tensor(std::string name, Precision precision,
                                  std::vector<tsr_dim> dims) {
  GraphTensor tensor;
  tensor.name = std::move(name);
  tensor.precision = precision;
  tensor.dims = std::move(dims);
  graph_.tensors.push_back(std::move(tensor));
  return static_cast<uint32_t>(graph_.tensors.size() - 1);
}

uint32_t GraphBuilder::step_tensor(uint32_t role) {
  for (uint32_t id = 0; id < graph_.tensors.size(); ++id) {
    if (graph_.tensors[id].role == role) return id;
  }
  for (const StepTensor& step : kStepTensors) {
    if (step.role != role) continue;
    const uint32_t id = add_tensor(step.name, Precision::kIndex, {step.dim});
    graph_.tensors[id].role = role;
    // Its second dimension, max_blocks_per_seq, comes with the program's
    // maxima.
    if (role == TSR_ROLE_BLOCK_TABLE) {
      graph_.tensors[id].dims.push_back({0, TSR_DIM_FIXED});
    }
    return id;
  }
  return TSR_NONE;
}

uint32_t GraphBuilder::constant(const std::string& source,
                                const std::vector<uint32_t>& shape) {
  const uint32_t id = add_tensor(source, Precision::kSource, fixed_dims(shape));
  graph_.tensors[id].constant = true;
  graph_.tensors[id].source = source;
  return id;
}

uint32_t GraphBuilder::table(const std::string& name,
                             const std::vector<uint32_t>& shape,
                             std::vector<float> values) {
  const uint32_t id = add_tensor(name, Precision::kF32, fixed_dims(shape));
  graph_.tensors[id].constant = true;
  graph_.tensors[id].values = std::move(values);
  return id;
}

uint32_t GraphBuilder::add_weight(GraphWeight weight) {
  weight.layer = layer_;
  graph_.weights.push_back(std::move(weight));
  return static_cast<uint32_t>(graph_.weights.size() - 1);
}

uint32_t GraphBuilder::add_kv(const GraphKv& kv) {
  graph_.kv.push_back(kv);
  return static_cast<uint32_t>(graph_.kv.size() - 1);
}

void GraphBuilder::enter_layer(int32_t layer) { layer_ = layer; }

std::string GraphBuilder::scoped(const std::string& name) const {
  if (layer_ == kBeforeLayers || layer_ == kAfterLayers) return name;
  return fmt::format("layers.{}.{}", layer_, name);
}

template <typename Op>
void GraphBuilder::push(const std::string& name, uint32_t kind, Op op) {
  op.op.struct_size = sizeof(Op);
  op.op.record_bytes = sizeof(Op);
  op.op.kind = kind;
  graph_.ops.push_back({scoped(name), layer_, op});
}

uint32_t GraphBuilder::embedding(uint32_t table, uint32_t rows,
                                 Precision precision) {
  tsr_op_gather op{};
  op.table = table;
  op.rows = rows;
  op.y =
      add_tensor(scoped("embedding"), precision,
                 {graph_.tensors[rows].dims[0], graph_.tensors[table].dims[1]});
  push("embedding", TSR_OP_EMBEDDING, op);
  return op.y;
}

uint32_t GraphBuilder::gather_rows(uint32_t x, uint32_t rows) {
  tsr_op_gather op{};
  op.table = x;
  op.rows = rows;
  std::vector<tsr_dim> dims = graph_.tensors[x].dims;
  dims[0] = graph_.tensors[rows].dims[0];
  op.y = add_tensor(scoped("gather_rows"), graph_.tensors[x].precision, dims);
  push("gather_rows", TSR_OP_GATHER_ROWS, op);
  return op.y;
}

uint32_t GraphBuilder::rms_norm(const std::string& name, uint32_t x,
                                uint32_t weight, float eps) {
  tsr_op_norm op{};
  op.x = x;
  op.weight = weight;
  op.bias = TSR_NONE;
  op.eps = eps;
  op.y =
      add_tensor(scoped(name), Precision::kActivation, graph_.tensors[x].dims);
  push(name, TSR_OP_RMS_NORM, op);
  return op.y;
}

uint32_t GraphBuilder::linear(const std::string& name, uint32_t x,
                              uint32_t weight, uint32_t bias,
                              Precision precision) {
  tsr_op_linear op{};
  op.x = x;
  op.weight = weight;
  op.bias = bias;
  op.multiplier = TSR_NONE;
  op.residual = TSR_NONE;
  op.y = add_tensor(
      scoped(name), precision,
      {graph_.tensors[x].dims[0], {graph_.weights[weight].N, TSR_DIM_FIXED}});
  push(name, TSR_OP_LINEAR, op);
  return op.y;
}

void GraphBuilder::split_heads(uint32_t x, uint32_t num_heads) {
  std::vector<tsr_dim>& dims = graph_.tensors[x].dims;
  const uint32_t head_dim = dims[1].max / num_heads;
  dims = {dims[0], {num_heads, TSR_DIM_FIXED}, {head_dim, TSR_DIM_FIXED}};
}

uint32_t GraphBuilder::rope(const std::string& name, uint32_t x,
                            uint32_t positions, uint32_t table,
                            uint32_t rotary_dim) {
  tsr_op_rope op{};
  op.x = x;
  op.positions = positions;
  op.table = table;
  op.style = TSR_ROPE_HALF;
  op.rotary_dim = rotary_dim;
  op.y =
      add_tensor(scoped(name), Precision::kActivation, graph_.tensors[x].dims);
  push(name, TSR_OP_ROPE, op);
  return op.y;
}

void GraphBuilder::kv_append(const std::string& name, tsr_op_kv_append op) {
  push(name, TSR_OP_KV_APPEND, op);
}

uint32_t GraphBuilder::attention(const std::string& name, tsr_op_attention op) {
  op.out = add_tensor(scoped(name), Precision::kActivation,
                      graph_.tensors[op.q].dims);
  push(name, TSR_OP_ATTENTION, op);
  return op.out;
}

uint32_t GraphBuilder::silu_mul(const std::string& name, uint32_t gate,
                                uint32_t up) {
  tsr_op_elementwise op{};
  op.a = gate;
  op.b = up;
  op.y = add_tensor(scoped(name), Precision::kActivation,
                    graph_.tensors[gate].dims);
  push(name, TSR_OP_SILU_MUL, op);
  return op.y;
}

uint32_t GraphBuilder::add(const std::string& name, uint32_t a, uint32_t b) {
  tsr_op_elementwise op{};
  op.a = a;
  op.b = b;
  op.y = add_tensor(scoped(name), graph_.tensors[a].precision,
                    graph_.tensors[a].dims);
  push(name, TSR_OP_ADD, op);
  return op.y;
}

Result<Graph> GraphBuilder::finish(uint32_t logits, uint32_t num_layers) {
  graph_.logits = logits;
  graph_.num_layers = num_layers;
  if (logits < graph_.tensors.size()) {
    graph_.vocab_size = graph_.tensors[logits].dims.back().max;
  }
  TSR_RETURN_IF_ERROR(validate(graph_));
  return std::exchange(graph_, {});
}

}  // namespace tessera
