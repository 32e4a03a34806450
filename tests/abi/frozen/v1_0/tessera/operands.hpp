// SPDX-License-Identifier: Apache-2.0
//
// tessera/operands.hpp - which tensors an op reads and writes, for whoever
// needs lifetimes or dependencies and not the op's meaning.

#pragma once

#include <initializer_list>
#include <vector>

#include "tessera/record.hpp"

namespace tessera::sdk {

// Tensor ids of one op, TSR_NONE left out.  `known` is false for a kind whose
// operands this SDK cannot name: it may touch any tensor.
struct Operands {
  bool known = true;
  std::vector<uint32_t> reads;
  std::vector<uint32_t> writes;
};

namespace detail {

inline Operands make_operands(std::initializer_list<uint32_t> reads,
                              std::initializer_list<uint32_t> writes) {
  Operands operands;
  for (const uint32_t id : reads) {
    if (id != TSR_NONE) operands.reads.push_back(id);
  }
  for (const uint32_t id : writes) {
    if (id != TSR_NONE) operands.writes.push_back(id);
  }
  return operands;
}

inline Operands operands(const tsr_op_linear& o) {
  Operands all = make_operands({o.x, o.bias, o.multiplier, o.residual}, {o.y});
  if ((o.flags & TSR_LINEAR_ACCUMULATE) != 0) all.reads.push_back(o.y);
  return all;
}
inline Operands operands(const tsr_op_attention& o) {
  return make_operands({o.q, o.q_starts, o.seq_lens, o.block_table, o.q_inv,
                        o.q_scale, o.kv_scale, o.thresholds},
                       {o.out});
}
inline Operands operands(const tsr_op_kv_append& o) {
  return make_operands(
      {o.k, o.v, o.slot_mapping, o.positions, o.table, o.kv_inv}, {});
}
inline Operands operands(const tsr_op_norm& o) {
  return make_operands({o.x, o.weight, o.bias}, {o.y});
}
inline Operands operands(const tsr_op_rope& o) {
  return make_operands({o.x, o.positions, o.table}, {o.y});
}
inline Operands operands(const tsr_op_elementwise& o) {
  return make_operands({o.a, o.b}, {o.y});
}
inline Operands operands(const tsr_op_softmax& o) {
  return make_operands({o.x}, {o.y});
}
inline Operands operands(const tsr_op_gather& o) {
  return make_operands({o.table, o.rows}, {o.y});
}

}  // namespace detail

// The operands of `op`.  Ids are not checked: read_op_facts does that.
inline Operands operands_of(const OpRecord& op) {
  switch (op.kind()) {
    case TSR_OP_LINEAR:
      return detail::operands(op.as<tsr_op_linear>());
    case TSR_OP_ATTENTION:
      return detail::operands(op.as<tsr_op_attention>());
    case TSR_OP_KV_APPEND:
      return detail::operands(op.as<tsr_op_kv_append>());
    case TSR_OP_RMS_NORM:
    case TSR_OP_LAYER_NORM:
      return detail::operands(op.as<tsr_op_norm>());
    case TSR_OP_ROPE:
      return detail::operands(op.as<tsr_op_rope>());
    case TSR_OP_ADD:
    case TSR_OP_SILU_MUL:
    case TSR_OP_GELU:
      return detail::operands(op.as<tsr_op_elementwise>());
    case TSR_OP_SOFTMAX:
      return detail::operands(op.as<tsr_op_softmax>());
    case TSR_OP_EMBEDDING:
    case TSR_OP_GATHER_ROWS:
      return detail::operands(op.as<tsr_op_gather>());
    default: {
      Operands unknown;
      unknown.known = false;
      return unknown;
    }
  }
}

}  // namespace tessera::sdk
