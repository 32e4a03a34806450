// SPDX-License-Identifier: Apache-2.0

#include "framework/graph/graph.hpp"

#include <fmt/format.h>

namespace tessera {
namespace {

// Pointers to the tensor ids of an op, so that reading, checking and remapping
// share one list.
struct IdPlaces {
  std::vector<uint32_t*> reads;
  std::vector<uint32_t*> writes;
};

struct FindPlaces {
  IdPlaces operator()(tsr_op_linear& o) const {
    return {{&o.x, &o.bias, &o.multiplier, &o.residual}, {&o.y}};
  }
  IdPlaces operator()(tsr_op_attention& o) const {
    return {{&o.q, &o.q_starts, &o.seq_lens, &o.block_table, &o.q_inv,
             &o.q_scale, &o.kv_scale, &o.thresholds},
            {&o.out}};
  }
  IdPlaces operator()(tsr_op_kv_append& o) const {
    return {{&o.k, &o.v, &o.slot_mapping, &o.positions, &o.table, &o.kv_inv},
            {}};
  }
  IdPlaces operator()(tsr_op_norm& o) const {
    return {{&o.x, &o.weight, &o.bias}, {&o.y}};
  }
  IdPlaces operator()(tsr_op_rope& o) const {
    return {{&o.x, &o.positions, &o.table}, {&o.y}};
  }
  IdPlaces operator()(tsr_op_elementwise& o) const {
    return {{&o.a, &o.b}, {&o.y}};
  }
  IdPlaces operator()(tsr_op_softmax& o) const { return {{&o.x}, {&o.y}}; }
  IdPlaces operator()(tsr_op_gather& o) const {
    return {{&o.table, &o.rows}, {&o.y}};
  }
};

Status clash(const GraphOp& op, const std::string& what) {
  return {TSR_INVALID_ARGUMENT, op.name + ": " + what};
}

uint32_t last_dim(const GraphTensor& tensor) { return tensor.dims.back().max; }

// Checks the shapes of one op; ids are known to exist.
struct CheckShapes {
  const Graph& graph;
  const GraphOp& op;

  const GraphTensor& tensor(uint32_t id) const { return graph.tensors[id]; }

  Status same_shape(uint32_t a, uint32_t b) const {
    const auto& left = tensor(a).dims;
    const auto& right = tensor(b).dims;
    bool same = left.size() == right.size();
    for (size_t i = 0; same && i < left.size(); ++i) {
      same = left[i].max == right[i].max && left[i].symbol == right[i].symbol;
    }
    if (same) return {};
    return clash(op, fmt::format("{} and {} have different shapes",
                                 tensor(a).name, tensor(b).name));
  }
  Status last_dim_is(uint32_t id, uint32_t wanted) const {
    uint64_t features = 1;  // all but the leading, symbolic dimension
    for (const tsr_dim& dim : tensor(id).dims) {
      if (dim.symbol == TSR_DIM_FIXED) features *= dim.max;
    }
    if (features == wanted || last_dim(tensor(id)) == wanted) return {};
    return clash(op, fmt::format("{} has {} features, not {}", tensor(id).name,
                                 features, wanted));
  }

  Status operator()(const tsr_op_linear& o) const {
    if (o.weight >= graph.weights.size()) return clash(op, "no such weight");
    const GraphWeight& weight = graph.weights[o.weight];
    TSR_RETURN_IF_ERROR(last_dim_is(o.x, weight.K));
    TSR_RETURN_IF_ERROR(last_dim_is(o.y, weight.N));
    if (o.bias != TSR_NONE) return last_dim_is(o.bias, weight.N);
    return {};
  }
  Status operator()(const tsr_op_attention& o) const {
    if (o.kv >= graph.kv.size()) return clash(op, "no such KV cache");
    if (o.num_q_heads % graph.kv[o.kv].num_kv_heads != 0) {
      return clash(op, fmt::format("{} query heads over {} KV heads",
                                   o.num_q_heads, graph.kv[o.kv].num_kv_heads));
    }
    TSR_RETURN_IF_ERROR(
        last_dim_is(o.q, o.num_q_heads * graph.kv[o.kv].head_dim));
    return same_shape(o.q, o.out);
  }
  Status operator()(const tsr_op_kv_append& o) const {
    if (o.kv >= graph.kv.size()) return clash(op, "no such KV cache");
    const GraphKv& kv = graph.kv[o.kv];
    TSR_RETURN_IF_ERROR(last_dim_is(o.k, kv.num_kv_heads * kv.head_dim));
    return last_dim_is(o.v, kv.num_kv_heads * kv.head_dim);
  }
  Status operator()(const tsr_op_norm& o) const {
    TSR_RETURN_IF_ERROR(last_dim_is(o.weight, last_dim(tensor(o.x))));
    return same_shape(o.x, o.y);
  }
  Status operator()(const tsr_op_rope& o) const { return same_shape(o.x, o.y); }
  Status operator()(const tsr_op_elementwise& o) const {
    if (o.b != TSR_NONE) TSR_RETURN_IF_ERROR(same_shape(o.a, o.b));
    return same_shape(o.a, o.y);
  }
  Status operator()(const tsr_op_softmax& o) const {
    return same_shape(o.x, o.y);
  }
  Status operator()(const tsr_op_gather& o) const {
    return last_dim_is(o.y, last_dim(tensor(o.table)));
  }
};

}  // namespace

const tsr_op& op_head(const GraphOpBody& body) {
  return std::visit([](const auto& o) -> const tsr_op& { return o.op; }, body);
}
tsr_op& op_head(GraphOpBody& body) {
  return std::visit([](auto& o) -> tsr_op& { return o.op; }, body);
}

std::string op_kind_name(uint32_t kind) {
  static constexpr const char* kNames[] = {
      "none",       "linear",    "attention",  "kv_append", "rms_norm",
      "layer_norm", "rope",      "add",        "silu_mul",  "gelu",
      "softmax",    "embedding", "gather_rows"};
  if (kind < std::size(kNames)) return kNames[kind];
  return fmt::format("op {}", kind);
}

OpTensors op_tensors(const GraphOpBody& body) {
  GraphOpBody copy = body;
  const IdPlaces places = std::visit(FindPlaces{}, copy);
  OpTensors ids;
  for (const uint32_t* id : places.reads) {
    if (*id != TSR_NONE) ids.reads.push_back(*id);
  }
  for (const uint32_t* id : places.writes) ids.writes.push_back(*id);
  return ids;
}

void remap_tensors(GraphOpBody& body, const std::vector<uint32_t>& map) {
  const IdPlaces places = std::visit(FindPlaces{}, body);
  for (uint32_t* id : places.reads) {
    if (*id != TSR_NONE) *id = map[*id];
  }
  for (uint32_t* id : places.writes) *id = map[*id];
}

Status validate(const Graph& graph) {
  std::vector<bool> written(graph.tensors.size());
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const GraphTensor& tensor = graph.tensors[i];
    if (tensor.dims.empty() || tensor.dims.size() > 4) {
      return {TSR_INVALID_ARGUMENT, tensor.name + ": rank must be 1 to 4"};
    }
    written[i] = tensor.constant || tensor.role != TSR_ROLE_VALUE;
  }
  for (const GraphOp& op : graph.ops) {
    const OpTensors ids = op_tensors(op.body);
    for (const uint32_t id : ids.reads) {
      if (id >= graph.tensors.size()) return clash(op, "no such tensor");
      if (!written[id]) {
        return clash(op, graph.tensors[id].name + " is read before written");
      }
    }
    for (const uint32_t id : ids.writes) {
      if (id >= graph.tensors.size()) return clash(op, "no such tensor");
      written[id] = true;
    }
    TSR_RETURN_IF_ERROR(std::visit(CheckShapes{graph, op}, op.body));
  }
  if (graph.logits >= graph.tensors.size() || !written[graph.logits]) {
    return {TSR_INVALID_ARGUMENT, "graph: nothing writes the logits"};
  }
  return {};
}

}  // namespace tessera
