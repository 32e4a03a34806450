// SPDX-License-Identifier: Apache-2.0

#include "rows.hpp"

#include <vector>

#include "fault.hpp"

namespace mutant {
namespace {

constexpr uint32_t bit(uint32_t value) { return 1U << value; }
constexpr uint32_t kFloats = bit(TSR_F32) | bit(TSR_BF16);
constexpr tsr_range kWhole{TSR_WHOLE, TSR_WHOLE, 0};

tsr_plane_rule rule(uint32_t role, uint32_t dtype, uint32_t required,
                    tsr_range block_k) {
  return {sizeof(tsr_plane_rule), role,   bit(dtype), required,
          {1, TSR_WHOLE, 1},      block_k};
}

tsr_kernel_desc base(uint32_t op, const char* name, uint32_t error_class) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = op;
  row.name = name;
  row.phases = TSR_PREFILL | TSR_DECODE;
  row.determinism = TSR_DETERMINISM_RUN;
  row.error_class = error_class;
  row.x_dtypes = kFloats;
  row.y_dtypes = kFloats;
  row.accumulator = TSR_F32;
  row.activations = bit(TSR_EPILOGUE_NONE);
  return row;
}

tsr_kernel_desc linear_row(const char* name, uint32_t format,
                           const std::vector<tsr_plane_rule>& rules) {
  const bool integer = format == TSR_WEIGHT_I8;
  tsr_kernel_desc row =
      base(TSR_OP_LINEAR, name, integer ? TSR_ERROR_EXACT : TSR_ERROR_DOT);
  row.weight_format = format;
  row.accumulator = integer ? TSR_I32 : TSR_F32;
  row.act_quants = integer ? bit(TSR_ACT_I8_DYNAMIC) | bit(TSR_ACT_I8_STATIC) |
                                 bit(TSR_ACT_I8_MIX)
                           : bit(TSR_ACT_FLOAT);
  row.planes = {rules.data(), static_cast<uint32_t>(rules.size()),
                sizeof(tsr_plane_rule)};
  row.activations |= bit(TSR_EPILOGUE_SILU);
  row.fused_operands = TSR_FUSES_BIAS | TSR_FUSES_MULTIPLIER |
                       TSR_FUSES_RESIDUAL | TSR_FUSES_ACCUMULATE |
                       TSR_FUSES_PARTIAL | TSR_FUSES_N_RANGE;
  row.K = {1, 1U << 15, 1};
  return row;
}

tsr_kernel_desc kv_row(uint32_t op, const char* name, uint32_t error_class) {
  tsr_kernel_desc row = base(op, name, error_class);
  row.kv_formats = bit(TSR_KV_F32) | bit(TSR_KV_I8_TOKEN);
  row.masks = bit(TSR_MASK_CAUSAL) | bit(TSR_MASK_FULL) | bit(TSR_MASK_SLIDING);
  row.head_dim = {2, 128, 2};
  row.gqa_ratio = {1, 8, 1};
  row.block_size = {1, 64, 1};
  row.rope_styles =
      bit(TSR_ROPE_NONE) | bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
  return row;
}

void spoil(std::vector<tsr_kernel_desc>& rows) {
  if (has("two_rows_of_a_name")) rows[1].name = rows[0].name;
  if (has("row_without_a_name")) rows[2].name = "";
  if (has("empty_range")) rows[3].N = {64, 32, 1};
  if (has("row_of_no_phase")) rows[4].phases = 0;
  if (has("claims_what_is_not_there")) {
    tsr_kernel_desc gelu = base(TSR_OP_GELU, "gelu", TSR_ERROR_FLOAT);
    gelu.activations = bit(TSR_EPILOGUE_GELU_ERF);
    rows.push_back(gelu);
  }
  if (has("claims_an_unknown_class")) rows[5].error_class = 77;
}

}  // namespace

tsr_array kernel_rows() {
  static const std::vector<tsr_plane_rule> none;
  static const std::vector<tsr_plane_rule> i8 = {
      rule(TSR_PLANE_SCALE, TSR_F32, 1, kWhole),
      rule(TSR_PLANE_ACT_SCALE, TSR_F32, 0, {}),
      rule(TSR_PLANE_ACT_INV, TSR_F32, 0, {}),
      rule(TSR_PLANE_ACT_ZERO_POINT, TSR_I32, 0, {})};
  static const std::vector<tsr_plane_rule> u4 = {
      rule(TSR_PLANE_SCALE, TSR_F32, 1, {32, 128, 32}),
      rule(TSR_PLANE_ZERO_POINT, TSR_U8, 0, {32, 128, 32}),
      rule(TSR_PLANE_PERMUTATION, TSR_I32, 0, {})};
  static const std::vector<tsr_kernel_desc> rows = [] {
    std::vector<tsr_kernel_desc> all = {
        base(TSR_OP_ADD, "add", TSR_ERROR_FLOAT),
        base(TSR_OP_SILU_MUL, "silu_mul", TSR_ERROR_FLOAT),
        base(TSR_OP_RMS_NORM, "rms_norm", TSR_ERROR_FLOAT),
        base(TSR_OP_SOFTMAX, "softmax", TSR_ERROR_FLOAT),
        base(TSR_OP_ROPE, "rope", TSR_ERROR_FLOAT),
        base(TSR_OP_EMBEDDING, "embedding", TSR_ERROR_FLOAT),
        base(TSR_OP_GATHER_ROWS, "gather_rows", TSR_ERROR_FLOAT),
        linear_row("linear_f32", TSR_WEIGHT_F32, none),
        linear_row("linear_i8", TSR_WEIGHT_I8, i8),
        linear_row("linear_u4", TSR_WEIGHT_U4, u4),
        kv_row(TSR_OP_ATTENTION, "attention", TSR_ERROR_DOT),
        kv_row(TSR_OP_KV_APPEND, "kv_append", TSR_ERROR_EXACT)};
    all[4].rope_styles = bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
    all[4].head_dim = {2, 256, 2};
    spoil(all);
    return all;
  }();
  return {rows.data(), static_cast<uint32_t>(rows.size()),
          sizeof(tsr_kernel_desc)};
}

}  // namespace mutant
