// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/launches/problem_of.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

Scheme eight_bit_scheme(const sdk::OpFacts& facts, const LinearStep& step) {
  if (facts.weight_format == TSR_WEIGHT_SPARSE_FIXED) return Scheme::kW8A8Sc;
  const bool is_static = facts.act_quant == TSR_ACT_I8_STATIC ||
                         facts.act_quant == TSR_ACT_U8_STATIC ||
                         (facts.act_quant == TSR_ACT_I8_MIX && step.is_decode);
  return is_static ? Scheme::kW8A8 : Scheme::kW8A8Dynamic;
}

Scheme scheme_of_facts(const sdk::OpFacts& facts, const LinearStep& step) {
  const bool is_float = facts.act_quant == TSR_ACT_FLOAT;
  switch (facts.weight_format) {
    case TSR_WEIGHT_BF16:
      return Scheme::kBf16;
    case TSR_WEIGHT_F8E4M3:
      return Scheme::kFp8;
    case TSR_WEIGHT_U4:
      return Scheme::kW4A16;
    case TSR_WEIGHT_I4:
      return facts.act_quant == TSR_ACT_I4_DYNAMIC ? Scheme::kW4A4
                                                   : Scheme::kW4A8;
    case TSR_WEIGHT_I8:
      return is_float ? Scheme::kW8A16 : eight_bit_scheme(facts, step);
    case TSR_WEIGHT_SPARSE_FIXED:
      return eight_bit_scheme(facts, step);
    default:
      return Scheme::kW16A16;
  }
}

// Stored bytes of a compressed weight over those of its s8 codes.
double compression_of(const sdk::OpFacts& facts) {
  double bytes = 0;
  for (const tsr_plane& plane : facts.planes) {
    if (plane.role == TSR_PLANE_CODES || plane.role == TSR_PLANE_INDEX) {
      bytes += static_cast<double>(plane.row_bytes) * plane.rows;
    }
  }
  return bytes / (double{1} * facts.N * facts.K);
}

}  // namespace

Gemm gemm_of(const sdk::OpFacts& facts, const LinearStep& step) {
  Gemm gemm;
  gemm.M = step.M;
  gemm.N = facts.n_end - facts.n_begin;
  gemm.K = facts.K;
  gemm.scheme = scheme_of_facts(facts, step);
  gemm.out = type_of(facts.y_dtype);
  for (const tsr_plane& plane : facts.planes) {
    if (plane.role == TSR_PLANE_SCALE && plane.block_k < facts.K) {
      gemm.group_size = plane.block_k;
    }
  }
  if (gemm.scheme == Scheme::kW8A8Sc) gemm.compression = compression_of(facts);
  gemm.epilogue.bias = (facts.fused & TSR_FUSES_BIAS) != 0;
  gemm.epilogue.activation = facts.activation != TSR_EPILOGUE_NONE;
  gemm.epilogue.multiply = (facts.fused & TSR_FUSES_MULTIPLIER) != 0;
  gemm.epilogue.residual =
      (facts.fused & (TSR_FUSES_RESIDUAL | TSR_FUSES_ACCUMULATE)) != 0;
  return gemm;
}

Type type_of(uint32_t dtype) {
  switch (dtype) {
    case TSR_F16:
      return Type::kF16;
    case TSR_BF16:
      return Type::kBf16;
    case TSR_I32:
      return Type::kS32;
    default:
      return Type::kF32;
  }
}

KvType kv_type_of(uint32_t kv_format) {
  switch (kv_format) {
    case TSR_KV_BF16:
      return KvType::kBf16;
    case TSR_KV_I8_TOKEN:
      return KvType::kS8;
    case TSR_KV_I8_CHANNEL:
      return KvType::kS8Channel;
    case TSR_KV_I8_HEAD:
      return KvType::kFa3;
    default:
      return KvType::kF16;
  }
}

SmallKind small_kind_of(uint32_t op_kind) {
  switch (op_kind) {
    case TSR_OP_LAYER_NORM:
      return SmallKind::kLayerNorm;
    case TSR_OP_ROPE:
      return SmallKind::kRope;
    case TSR_OP_SOFTMAX:
      return SmallKind::kSoftmax;
    case TSR_OP_SILU_MUL:
      return SmallKind::kSiluMul;
    case TSR_OP_GELU:
      return SmallKind::kGelu;
    case TSR_OP_ADD:
      return SmallKind::kAdd;
    case TSR_OP_EMBEDDING:
    case TSR_OP_GATHER_ROWS:
      return SmallKind::kEmbedding;
    default:
      return SmallKind::kRmsNorm;
  }
}

}  // namespace tessera::npu
