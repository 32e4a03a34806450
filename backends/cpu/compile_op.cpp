// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/compile_op.hpp"

#include <string>

namespace tessera::cpu {
namespace {

void add(std::vector<uint32_t>& ids, std::initializer_list<uint32_t> more) {
  for (const uint32_t id : more) {
    if (id != TSR_NONE) ids.push_back(id);
  }
}

}  // namespace

TensorRows CompileInput::rows(uint32_t tensor) const {
  const auto& tensors = program.tensors();
  if (tensor >= tensors.size()) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "tensor " + std::to_string(tensor) +
                                               " of " +
                                               std::to_string(tensors.size()));
  }
  return {tensors[tensor], base_of(tensor)};
}

std::unique_ptr<TensorRows> CompileInput::optional_rows(uint32_t tensor) const {
  if (tensor == TSR_NONE) return nullptr;
  return std::make_unique<TensorRows>(rows(tensor));
}

std::unique_ptr<CompiledOp> compile_op(const CompileInput& input) {
  switch (input.op.kind()) {
    case TSR_OP_LINEAR:
      return compile_linear(input);
    case TSR_OP_ATTENTION:
      return compile_attention(input);
    case TSR_OP_KV_APPEND:
      return compile_kv_append(input);
    default:
      return compile_row_op(input);
  }
}

std::vector<uint32_t> tensors_of(const sdk::OpRecord& op) {
  std::vector<uint32_t> ids;
  switch (op.kind()) {
    case TSR_OP_LINEAR: {
      const auto o = op.as<tsr_op_linear>();
      add(ids, {o.x, o.y, o.bias, o.multiplier, o.residual});
      break;
    }
    case TSR_OP_ATTENTION: {
      const auto o = op.as<tsr_op_attention>();
      add(ids, {o.q, o.out, o.q_starts, o.seq_lens, o.block_table, o.q_inv,
                o.q_scale, o.kv_scale, o.thresholds});
      break;
    }
    case TSR_OP_KV_APPEND: {
      const auto o = op.as<tsr_op_kv_append>();
      add(ids, {o.k, o.v, o.slot_mapping, o.positions, o.table, o.kv_inv});
      break;
    }
    case TSR_OP_RMS_NORM:
    case TSR_OP_LAYER_NORM: {
      const auto o = op.as<tsr_op_norm>();
      add(ids, {o.x, o.y, o.weight, o.bias});
      break;
    }
    case TSR_OP_ROPE: {
      const auto o = op.as<tsr_op_rope>();
      add(ids, {o.x, o.y, o.positions, o.table});
      break;
    }
    case TSR_OP_ADD:
    case TSR_OP_SILU_MUL:
    case TSR_OP_GELU: {
      const auto o = op.as<tsr_op_elementwise>();
      add(ids, {o.a, o.b, o.y});
      break;
    }
    case TSR_OP_SOFTMAX: {
      const auto o = op.as<tsr_op_softmax>();
      add(ids, {o.x, o.y});
      break;
    }
    case TSR_OP_EMBEDDING:
    case TSR_OP_GATHER_ROWS: {
      const auto o = op.as<tsr_op_gather>();
      add(ids, {o.table, o.rows, o.y});
      break;
    }
    default:
      break;
  }
  return ids;
}

}  // namespace tessera::cpu
