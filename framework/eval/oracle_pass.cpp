// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/oracle_pass.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/linear/fixed_pipe.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "framework/conformance/reference/portable.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/tensor/half.hpp"

namespace tessera {
namespace {

void round_to(uint32_t dtype, std::vector<float>& values) {
  if (dtype == TSR_F32) return;
  for (float& value : values) value = rounded_to(dtype, value);
}

}  // namespace

OraclePass::OraclePass(const OraclePassModel& model,
                       std::span<const int32_t> tokens, uint32_t phase)
    : model_(model),
      tokens_(tokens),
      count_(static_cast<uint32_t>(tokens.size())),
      phase_(phase),
      values_(model.graph.tensors.size()),
      ascending_(tokens.size()) {
  std::iota(ascending_.begin(), ascending_.end(), 0);
  q_starts_[1] = static_cast<int32_t>(count_);
  seq_len_ = static_cast<int32_t>(count_);
}

Status OraclePass::run() {
  TSR_RETURN_IF_ERROR(open_pools());
  const Graph& graph = model_.graph;
  for (uint32_t i = 0; i < graph.ops.size(); ++i) {
    const GraphOp& op = graph.ops[i];
    layer_ = &model_.plan.of_op(graph, i);
    const Status status =
        std::visit([this](const auto& body) { return compute(body); }, op.body);
    TSR_RETURN_IF_ERROR(Status(status).annotate(op.name));
    for (const uint32_t id : op_tensors(op.body).writes) {
      round_to(kept_dtype(id), values_[id]);
    }
  }
  return {};
}

Status OraclePass::compute(const tsr_op_linear& o) {
  reference::Linear p;
  p.weight = &model_.weights[o.weight];
  p.M = count_;
  p.x = read(o.x);
  p.act_quant = choice_of(o).act_quant;
  p.num_decode_tokens = phase_ == TSR_DECODE ? count_ : 0;
  p.sum_order = model_.numerics.order;
  if (model_.numerics.device.half_products) p.factor_dtype = half_dtype(o);
  p.epilogue.activation = o.activation;
  if (o.bias != TSR_NONE) p.epilogue.bias = read(o.bias);
  TSR_RETURN_IF_ERROR(reference::linear(p, write(o.y)));
  TSR_RETURN_IF_ERROR(bound(o, p));
  if (!model_.numerics.device.fixed_pipe || !leaves_through_fixed_pipe(o, p)) {
    return {};
  }
  return reference::leave_through_fixed_pipe(p, values_[o.y].data());
}

Status OraclePass::compute(const tsr_op_attention& o) {
  reference::Attention p;
  p.num_seqs = 1;
  p.num_q_heads = o.num_q_heads;
  p.q = read(o.q);
  p.q_starts = q_starts_;
  p.seq_lens = &seq_len_;
  p.block_table = &block_;
  p.max_blocks_per_seq = 1;
  p.mask = o.mask;
  p.window = o.window;
  p.scale = o.scale;
  p.sum_order = model_.numerics.order;
  if (o.kv_scale != TSR_NONE) p.kv_scale = read(o.kv_scale);
  if (pools_[o.kv].desc().format != TSR_KV_I8_HEAD) {
    if (model_.numerics.device.half_products) p.factor_dtype = half_dtype(o);
    p.portable_softmax = is_portable();
    TSR_RETURN_IF_ERROR(reference::attention(p, pools_[o.kv], write(o.out)));
    return bound(o, p);
  }
  p.q_inv = read(o.q_inv);
  p.thresholds = model_.graph.tensors[o.thresholds].indices.data();
  return reference::attention_fa3(p, pools_[o.kv], write(o.out));
}

Status OraclePass::compute(const tsr_op_kv_append& o) {
  reference::KvAppend p;
  p.num_tokens = count_;
  p.k = read(o.k);
  p.v = read(o.v);
  p.slot_mapping = ascending_.data();
  p.positions = ascending_.data();
  p.table = read(o.table);
  p.max_positions = model_.graph.tensors[o.table].dims[0].max;
  p.style = o.style;
  p.rotary_dim = o.rotary_dim;
  if (o.kv_inv != TSR_NONE) p.kv_inv = read(o.kv_inv);
  return reference::kv_append(p, pools_[o.kv]);
}

Status OraclePass::compute(const tsr_op_norm& o) {
  reference::Norm p;
  p.D = model_.graph.tensors[o.x].dims.back().max;
  p.rows = elements(o.x) / p.D;
  p.x = read(o.x);
  p.weight = read(o.weight);
  p.eps = o.eps;
  p.sum_order = model_.numerics.order;
  if (o.bias != TSR_NONE) p.bias = read(o.bias);
  float* y = write(o.y);
  if (o.op.kind == TSR_OP_RMS_NORM) {
    is_portable() ? reference::portable_rms_norm(p, y)
                  : reference::rms_norm(p, y);
  } else {
    is_portable() ? reference::portable_layer_norm(p, y)
                  : reference::layer_norm(p, y);
  }
  bound_floats(o.y, [](size_t) { return 0.0; });
  return {};
}

Status OraclePass::compute(const tsr_op_rope& o) {
  const GraphTensor& x = model_.graph.tensors[o.x];
  reference::Rope p;
  p.num_tokens = count_;
  p.head_dim = x.dims.back().max;
  p.num_heads = static_cast<uint32_t>(elements(o.x) / count_) / p.head_dim;
  p.x = read(o.x);
  p.positions = ascending_.data();
  p.table = read(o.table);
  p.max_positions = model_.graph.tensors[o.table].dims[0].max;
  p.style = o.style;
  p.rotary_dim = o.rotary_dim;
  float* y = write(o.y);
  TSR_RETURN_IF_ERROR(is_portable() ? reference::rope_f32(p, y)
                                    : reference::rope(p, y));
  bound_floats(o.y, [&](size_t i) {
    const float* head = p.x + i / p.head_dim * p.head_dim;
    double largest = 0;
    for (uint32_t d = 0; d < p.head_dim; ++d) {
      largest = std::max(largest, std::fabs(double{head[d]}));
    }
    return largest;
  });
  return {};
}

Status OraclePass::compute(const tsr_op_elementwise& o) {
  const size_t size = elements(o.a);
  const float* a = read(o.a);
  const float* b = o.b == TSR_NONE ? a : read(o.b);
  float* y = write(o.y);
  if (o.op.kind == TSR_OP_ADD) {
    reference::add(a, b, size, y);
  } else if (o.op.kind == TSR_OP_SILU_MUL) {
    is_portable() ? reference::portable_silu_mul(a, b, size, y)
                  : reference::silu_mul(a, b, size, y);
  } else {
    is_portable() ? reference::portable_gelu(a, size, o.variant, y)
                  : reference::gelu(a, size, o.variant, y);
  }
  bound_floats(o.y, [&](size_t i) {
    return o.op.kind == TSR_OP_ADD
               ? std::max(std::fabs(double{a[i]}), std::fabs(double{b[i]}))
               : std::fabs(double{a[i]});
  });
  return {};
}

Status OraclePass::compute(const tsr_op_softmax& o) {
  const size_t D = model_.graph.tensors[o.x].dims.back().max;
  const size_t rows = elements(o.x) / D;
  float* y = write(o.y);
  is_portable() ? reference::portable_softmax(read(o.x), rows, D, o.scale, y)
                : reference::softmax(read(o.x), rows, D, o.scale, y);
  bound_floats(o.y, [](size_t) { return 0.0; });
  return {};
}

Status OraclePass::compute(const tsr_op_gather& o) {
  reference::Gather p;
  p.table = read(o.table);
  const bool is_embedding = o.op.kind == TSR_OP_EMBEDDING;
  p.num_rows =
      is_embedding ? model_.graph.tensors[o.table].dims[0].max : count_;
  p.D = static_cast<uint32_t>(elements(o.y) / count_);
  p.rows = is_embedding ? tokens_.data() : ascending_.data();
  p.count = count_;
  return is_embedding ? reference::embedding(p, write(o.y))
                      : reference::gather_rows(p, write(o.y));
}

uint32_t OraclePass::kept_dtype(uint32_t tensor) const {
  return value_dtype(model_.graph.tensors[tensor], *layer_);
}

// A bf16 result takes the vector unit: no fixed pipe makes one of sums.
bool OraclePass::leaves_through_fixed_pipe(const tsr_op_linear& o,
                                           const reference::Linear& p) const {
  return p.act_quant != TSR_ACT_FLOAT && p.act_quant != TSR_ACT_F8_DYNAMIC &&
         kept_dtype(o.y) != TSR_BF16;
}

LinearChoice OraclePass::choice_of(const tsr_op_linear& o) const {
  return choose_linear(model_.graph.weights[o.weight],
                       model_.plan.of_weight(model_.graph, o.weight));
}

uint32_t OraclePass::half_dtype(const tsr_op_linear& o) const {
  const bool is_bf16 = choice_of(o).format == TSR_WEIGHT_BF16;
  return is_bf16 ? uint32_t{TSR_BF16} : uint32_t{TSR_F16};
}

uint32_t OraclePass::half_dtype(const tsr_op_attention& o) const {
  const bool is_bf16 = pools_[o.kv].desc().format == TSR_KV_BF16;
  return is_bf16 ? uint32_t{TSR_BF16} : uint32_t{TSR_F16};
}

Status OraclePass::bound(const tsr_op_linear& o, const reference::Linear& p) {
  const bool is_f8 = p.act_quant == TSR_ACT_F8_DYNAMIC;
  if (bounds_.empty() || (p.act_quant != TSR_ACT_FLOAT && !is_f8)) return {};
  OracleBounds& bounds = bounds_[o.y];
  bounds.resize(values_[o.y].size());
  return reference::linear_bound(
      p,
      {is_f8 ? TSR_ERROR_DOT : TSR_ERROR_HALF_PRODUCTS, kept_dtype(o.y),
       half_dtype(o)},
      bounds.data());
}

Status OraclePass::bound(const tsr_op_attention& o,
                         const reference::Attention& p) {
  if (bounds_.empty()) return {};
  OracleBounds& bounds = bounds_[o.out];
  bounds.resize(values_[o.out].size());
  return reference::attention_bound(
      p, pools_[o.kv],
      {TSR_ERROR_HALF_PRODUCTS, kept_dtype(o.out), half_dtype(o)},
      bounds.data());
}

template <typename Magnitude>
void OraclePass::bound_floats(uint32_t tensor, const Magnitude& magnitude) {
  if (bounds_.empty() || is_portable()) return;
  const std::vector<float>& values = values_[tensor];
  OracleBounds& bounds = bounds_[tensor];
  const uint32_t dtype = kept_dtype(tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    bounds.push_back(reference::float_bound(values[i], dtype, magnitude(i)));
  }
}

Status OraclePass::open_pools() {
  const Graph& graph = model_.graph;
  memory_.reserve(graph.kv.size());
  for (size_t i = 0; i < graph.kv.size(); ++i) {
    tsr_kv_desc desc{};
    desc.struct_size = sizeof(desc);
    desc.format = choose_kv_format(graph.kv[i], model_.plan.layers[i].scheme);
    desc.num_kv_heads = graph.kv[i].num_kv_heads;
    desc.head_dim = graph.kv[i].head_dim;
    desc.block_size = count_;
    desc.num_blocks = 1;
    TSR_ASSIGN_OR_RETURN(const format::KvBlockLayout layout,
                         format::kv_block_layout(desc));
    memory_.emplace_back(layout.bytes);
    TSR_ASSIGN_OR_RETURN(reference::KvPool pool,
                         reference::KvPool::open(desc, memory_.back()));
    pools_.push_back(pool);
  }
  return {};
}

size_t OraclePass::elements(uint32_t tensor) const {
  size_t size = 1;
  for (const tsr_dim& dim : model_.graph.tensors[tensor].dims) {
    size *= dim.symbol == TSR_DIM_FIXED ? dim.max : count_;
  }
  return size;
}

const float* OraclePass::read(uint32_t tensor) const {
  const bool constant = model_.graph.tensors[tensor].constant;
  return (constant ? model_.constants[tensor] : values_[tensor]).data();
}

float* OraclePass::write(uint32_t tensor) {
  values_[tensor].resize(elements(tensor));
  return values_[tensor].data();
}

}  // namespace tessera
