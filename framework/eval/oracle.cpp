// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/conformance/reference/attention/rope.hpp"
#include "framework/conformance/reference/attention/softmax.hpp"
#include "framework/conformance/reference/bounds.hpp"
#include "framework/conformance/reference/elementwise.hpp"
#include "framework/conformance/reference/gather.hpp"
#include "framework/conformance/reference/linear/fixed_pipe.hpp"
#include "framework/conformance/reference/norm.hpp"
#include "framework/format/element.hpp"
#include "framework/runtime/lowering.hpp"
#include "framework/runtime/weight_loader.hpp"
#include "framework/tensor/dtype.hpp"
#include "framework/tensor/half.hpp"

namespace tessera {

struct Oracle::State {
  Graph graph;
  Plan plan;
  OracleNumerics numerics;
  std::vector<std::unique_ptr<format::WeightData>> weight_data;
  std::vector<reference::Weight> weights;
  std::vector<std::vector<float>> constants;  // by graph tensor
};

namespace {

Result<std::vector<float>> read_constant(const GraphTensor& tensor,
                                         const WeightSource& source) {
  if (tensor.source.empty()) return tensor.values;
  TSR_ASSIGN_OR_RETURN(const SourceTensor found, source.tensor(tensor.source));
  std::vector<float> values(found.bytes.size() /
                            std::max<size_t>(dtype_bytes(found.dtype, 1), 1));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(
        format::element_value(found.dtype, found.bytes.data(), i));
  }
  return values;
}

void round_to(uint32_t dtype, std::vector<float>& values) {
  if (dtype == TSR_F32) return;
  for (float& value : values) value = rounded_to(dtype, value);
}

// What all passes read.
struct PassModel {
  const Graph& graph;
  const Plan& plan;
  const OracleNumerics& numerics;
  const std::vector<reference::Weight>& weights;
  const std::vector<std::vector<float>>& constants;
};

// One text on its way through the graph.
class Pass {
 public:
  Pass(const PassModel& model, std::span<const int32_t> tokens, uint32_t phase)
      : graph_(model.graph),
        plan_(model.plan),
        numerics_(model.numerics),
        weights_(model.weights),
        constants_(model.constants),
        tokens_(tokens),
        count_(static_cast<uint32_t>(tokens.size())),
        phase_(phase),
        values_(graph_.tensors.size()) {
    for (uint32_t i = 0; i < count_; ++i) {
      ascending_.push_back(static_cast<int32_t>(i));
    }
    q_starts_[1] = static_cast<int32_t>(count_);
    seq_len_ = static_cast<int32_t>(count_);
  }

  Status run() {
    TSR_RETURN_IF_ERROR(open_pools());
    for (uint32_t i = 0; i < graph_.ops.size(); ++i) {
      const GraphOp& op = graph_.ops[i];
      layer_ = &plan_.of_op(graph_, i);
      const Status status = std::visit(
          [this](const auto& body) { return (*this)(body); }, op.body);
      TSR_RETURN_IF_ERROR(Status(status).annotate(op.name));
      for (const uint32_t id : op_tensors(op.body).writes) {
        round_to(value_dtype(graph_.tensors[id], *layer_), values_[id]);
      }
    }
    return {};
  }

  // Lets run() find bounds too.
  void watch() { bounds_.resize(graph_.tensors.size()); }
  OracleTrace take_trace() { return {std::move(values_), std::move(bounds_)}; }
  std::vector<float> take(uint32_t tensor) {
    return std::move(values_[tensor]);
  }

  Status operator()(const tsr_op_linear& o) {
    reference::Linear p;
    p.weight = &weights_[o.weight];
    p.M = count_;
    p.x = read(o.x);
    p.act_quant = choose_linear(graph_.weights[o.weight],
                                plan_.of_weight(graph_, o.weight))
                      .act_quant;
    p.num_decode_tokens = phase_ == TSR_DECODE ? count_ : 0;
    p.sum_order = numerics_.order;
    p.epilogue.activation = o.activation;
    if (o.bias != TSR_NONE) p.epilogue.bias = read(o.bias);
    TSR_RETURN_IF_ERROR(reference::linear(p, write(o.y)));
    TSR_RETURN_IF_ERROR(bound_linear(o, p));
    if (!numerics_.device.fixed_pipe || !leaves_through_fixed_pipe(o, p)) {
      return {};
    }
    return reference::leave_through_fixed_pipe(p, values_[o.y].data());
  }
  Status operator()(const tsr_op_attention& o) {
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
    p.sum_order = numerics_.order;
    if (o.kv_scale != TSR_NONE) p.kv_scale = read(o.kv_scale);
    if (pools_[o.kv].desc().format != TSR_KV_I8_HEAD) {
      if (numerics_.device.half_attention) p.factor_dtype = half_dtype(o);
      TSR_RETURN_IF_ERROR(reference::attention(p, pools_[o.kv], write(o.out)));
      return bound_attention(o, p);
    }
    p.q_inv = read(o.q_inv);
    p.thresholds = graph_.tensors[o.thresholds].indices.data();
    return reference::attention_fa3(p, pools_[o.kv], write(o.out));
  }
  Status operator()(const tsr_op_kv_append& o) {
    reference::KvAppend p;
    p.num_tokens = count_;
    p.k = read(o.k);
    p.v = read(o.v);
    p.slot_mapping = ascending_.data();
    p.positions = ascending_.data();
    p.table = read(o.table);
    p.max_positions = graph_.tensors[o.table].dims[0].max;
    p.style = o.style;
    p.rotary_dim = o.rotary_dim;
    if (o.kv_inv != TSR_NONE) p.kv_inv = read(o.kv_inv);
    return reference::kv_append(p, pools_[o.kv]);
  }
  Status operator()(const tsr_op_norm& o) {
    reference::Norm p;
    p.D = graph_.tensors[o.x].dims.back().max;
    p.rows = elements(o.x) / p.D;
    p.x = read(o.x);
    p.weight = read(o.weight);
    p.eps = o.eps;
    p.sum_order = numerics_.order;
    if (o.op.kind == TSR_OP_RMS_NORM) {
      reference::rms_norm(p, write(o.y));
    } else {
      if (o.bias != TSR_NONE) p.bias = read(o.bias);
      reference::layer_norm(p, write(o.y));
    }
    bound_floats(o.y, [](size_t) { return 0.0; });
    return {};
  }
  Status operator()(const tsr_op_rope& o) {
    const GraphTensor& x = graph_.tensors[o.x];
    reference::Rope p;
    p.num_tokens = count_;
    p.head_dim = x.dims.back().max;
    p.num_heads = static_cast<uint32_t>(elements(o.x) / count_) / p.head_dim;
    p.x = read(o.x);
    p.positions = ascending_.data();
    p.table = read(o.table);
    p.max_positions = graph_.tensors[o.table].dims[0].max;
    p.style = o.style;
    p.rotary_dim = o.rotary_dim;
    TSR_RETURN_IF_ERROR(reference::rope(p, write(o.y)));
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
  Status operator()(const tsr_op_elementwise& o) {
    const size_t size = elements(o.a);
    if (o.op.kind == TSR_OP_ADD) {
      reference::add(read(o.a), read(o.b), size, write(o.y));
    } else if (o.op.kind == TSR_OP_SILU_MUL) {
      reference::silu_mul(read(o.a), read(o.b), size, write(o.y));
    } else {
      reference::gelu(read(o.a), size, o.variant, write(o.y));
    }
    const float* a = read(o.a);
    const float* b = o.b == TSR_NONE ? a : read(o.b);
    bound_floats(o.y, [&](size_t i) {
      return o.op.kind == TSR_OP_ADD
                 ? std::max(std::fabs(double{a[i]}), std::fabs(double{b[i]}))
                 : std::fabs(double{a[i]});
    });
    return {};
  }
  Status operator()(const tsr_op_softmax& o) {
    const size_t D = graph_.tensors[o.x].dims.back().max;
    reference::softmax(read(o.x), elements(o.x) / D, D, o.scale, write(o.y));
    bound_floats(o.y, [](size_t) { return 0.0; });
    return {};
  }
  Status operator()(const tsr_op_gather& o) {
    reference::Gather p;
    p.table = read(o.table);
    const bool is_embedding = o.op.kind == TSR_OP_EMBEDDING;
    p.num_rows = is_embedding ? graph_.tensors[o.table].dims[0].max : count_;
    p.D = static_cast<uint32_t>(elements(o.y) / count_);
    p.rows = is_embedding ? tokens_.data() : ascending_.data();
    p.count = count_;
    return is_embedding ? reference::embedding(p, write(o.y))
                        : reference::gather_rows(p, write(o.y));
  }

 private:
  uint32_t kept_dtype(uint32_t tensor) const {
    return value_dtype(graph_.tensors[tensor], *layer_);
  }
  // A bf16 result takes the vector unit: no fixed pipe makes one of sums.
  bool leaves_through_fixed_pipe(const tsr_op_linear& o,
                                 const reference::Linear& p) const {
    return p.act_quant != TSR_ACT_FLOAT && p.act_quant != TSR_ACT_F8_DYNAMIC &&
           kept_dtype(o.y) != TSR_BF16;
  }
  // What a unit of 16-bit factors takes from the cache.
  uint32_t half_dtype(const tsr_op_attention& o) const {
    const bool is_bf16 = pools_[o.kv].desc().format == TSR_KV_BF16;
    return is_bf16 ? uint32_t{TSR_BF16} : uint32_t{TSR_F16};
  }
  Status bound_linear(const tsr_op_linear& o, const reference::Linear& p) {
    if (bounds_.empty()) return {};
    OracleBounds& bounds = bounds_[o.y];
    const std::vector<float>& values = values_[o.y];
    const bool is_f8 = p.act_quant == TSR_ACT_F8_DYNAMIC;
    if (p.act_quant != TSR_ACT_FLOAT && !is_f8) {
      if (!leaves_through_fixed_pipe(o, p)) return {};
      bounds.fixed_pipe = values;
      TSR_RETURN_IF_ERROR(
          reference::leave_through_fixed_pipe(p, bounds.fixed_pipe.data()));
      round_to(kept_dtype(o.y), bounds.fixed_pipe);
      return {};
    }
    const bool is_bf16 = choose_linear(graph_.weights[o.weight],
                                       plan_.of_weight(graph_, o.weight))
                             .format == TSR_WEIGHT_BF16;
    bounds.of.resize(values.size());
    return reference::linear_bound(
        p,
        {is_f8 ? TSR_ERROR_DOT : TSR_ERROR_HALF_PRODUCTS, kept_dtype(o.y),
         is_bf16 ? uint32_t{TSR_BF16} : uint32_t{TSR_F16}},
        bounds.of.data());
  }
  Status bound_attention(const tsr_op_attention& o,
                         const reference::Attention& p) {
    if (bounds_.empty()) return {};
    std::vector<double>& bounds = bounds_[o.out].of;
    bounds.resize(values_[o.out].size());
    return reference::attention_bound(
        p, pools_[o.kv],
        {TSR_ERROR_HALF_PRODUCTS, kept_dtype(o.out), half_dtype(o)},
        bounds.data());
  }
  // `magnitude` of a value: of the largest term that goes into it.
  template <typename Magnitude>
  void bound_floats(uint32_t tensor, const Magnitude& magnitude) {
    if (bounds_.empty()) return;
    const std::vector<float>& values = values_[tensor];
    std::vector<double>& bounds = bounds_[tensor].of;
    const uint32_t dtype = kept_dtype(tensor);
    for (size_t i = 0; i < values.size(); ++i) {
      bounds.push_back(reference::float_bound(values[i], dtype, magnitude(i)));
    }
  }
  Status open_pools() {
    memory_.reserve(graph_.kv.size());
    for (size_t i = 0; i < graph_.kv.size(); ++i) {
      tsr_kv_desc desc{};
      desc.struct_size = sizeof(desc);
      desc.format = choose_kv_format(graph_.kv[i], plan_.layers[i].scheme);
      desc.num_kv_heads = graph_.kv[i].num_kv_heads;
      desc.head_dim = graph_.kv[i].head_dim;
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

  // Elements of a tensor in this pass: every symbolic dimension is count_.
  size_t elements(uint32_t id) const {
    size_t size = 1;
    for (const tsr_dim& dim : graph_.tensors[id].dims) {
      size *= dim.symbol == TSR_DIM_FIXED ? dim.max : count_;
    }
    return size;
  }
  const float* read(uint32_t id) const {
    const bool constant = graph_.tensors[id].constant;
    return (constant ? constants_[id] : values_[id]).data();
  }
  float* write(uint32_t id) {
    values_[id].resize(elements(id));
    return values_[id].data();
  }

  const Graph& graph_;
  const Plan& plan_;
  const OracleNumerics& numerics_;
  const std::vector<reference::Weight>& weights_;
  const std::vector<std::vector<float>>& constants_;
  std::span<const int32_t> tokens_;
  uint32_t count_;
  uint32_t phase_;
  const LayerPlan* layer_ = nullptr;
  std::vector<std::vector<float>> values_;
  std::vector<OracleBounds> bounds_;  // empty: nobody asks
  std::vector<std::vector<std::byte>> memory_;
  std::vector<reference::KvPool> pools_;
  std::vector<int32_t> ascending_;
  int32_t q_starts_[2] = {0, 0};
  int32_t seq_len_ = 0;
  int32_t block_ = 0;
};

}  // namespace

Oracle::Oracle(std::unique_ptr<State> state) : state_(std::move(state)) {}
Oracle::Oracle(Oracle&&) noexcept = default;
Oracle& Oracle::operator=(Oracle&&) noexcept = default;
Oracle::~Oracle() = default;

Result<Oracle> Oracle::create(const Graph& graph, const Plan& plan,
                              const WeightSource& source,
                              const OracleNumerics& numerics) {
  auto state = std::make_unique<State>();
  state->graph = graph;
  state->plan = plan;
  state->numerics = numerics;
  TSR_RETURN_IF_ERROR(bind_attention_scales(plan, state->graph));
  for (uint32_t i = 0; i < graph.weights.size(); ++i) {
    const GraphWeight& weight = graph.weights[i];
    const LinearChoice choice = choose_linear(weight, plan.of_weight(graph, i));
    TSR_ASSIGN_OR_RETURN(
        format::WeightData data,
        read_weight(weight, choice, source).annotate(weight.name));
    state->weight_data.push_back(
        std::make_unique<format::WeightData>(std::move(data)));
    TSR_ASSIGN_OR_RETURN(reference::Weight opened,
                         reference::Weight::open(*state->weight_data.back()));
    state->weights.push_back(std::move(opened));
  }
  state->constants.resize(state->graph.tensors.size());
  for (size_t i = 0; i < state->graph.tensors.size(); ++i) {
    if (!state->graph.tensors[i].constant) continue;
    TSR_ASSIGN_OR_RETURN(state->constants[i],
                         read_constant(state->graph.tensors[i], source));
  }
  return Oracle(std::move(state));
}

Result<std::vector<float>> Oracle::logits(std::span<const int32_t> tokens,
                                          uint32_t phase) const {
  if (tokens.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "oracle: the text is empty");
  }
  Pass pass({state_->graph, state_->plan, state_->numerics, state_->weights,
             state_->constants},
            tokens, phase);
  TSR_RETURN_IF_ERROR(pass.run().annotate("oracle"));
  return pass.take(state_->graph.logits);
}

Result<OracleTrace> Oracle::trace(std::span<const int32_t> tokens,
                                  uint32_t phase) const {
  if (tokens.empty()) {
    return Status(TSR_INVALID_ARGUMENT, "oracle: the text is empty");
  }
  Pass pass({state_->graph, state_->plan, state_->numerics, state_->weights,
             state_->constants},
            tokens, phase);
  pass.watch();
  TSR_RETURN_IF_ERROR(pass.run().annotate("oracle"));
  return pass.take_trace();
}

}  // namespace tessera
