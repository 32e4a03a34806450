// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/capabilities.hpp"

#include <vector>

#include "backends/cpu/linear_rows.hpp"

namespace tessera::cpu {
namespace {

constexpr uint32_t bit(uint32_t value) { return 1U << value; }

constexpr uint32_t kFloats = bit(TSR_F32) | bit(TSR_F16) | bit(TSR_BF16);
constexpr uint32_t kBothPhases = TSR_PREFILL | TSR_DECODE;

tsr_kernel_desc base_row(uint32_t op, const char* name) {
  tsr_kernel_desc row{};
  row.struct_size = sizeof(row);
  row.op = op;
  row.name = name;
  row.phases = kBothPhases;
  row.determinism = TSR_DETERMINISM_RUN;
  row.error_class = TSR_ERROR_FLOAT;
  row.x_dtypes = kFloats;
  row.y_dtypes = kFloats;
  row.accumulator = TSR_F32;
  row.activations = bit(TSR_EPILOGUE_NONE);
  return row;
}

// The small ops follow tessera/portable_math.h, so their bits are the same
// everywhere.
tsr_kernel_desc row_op(uint32_t op, const char* name) {
  tsr_kernel_desc row = base_row(op, name);
  row.determinism = TSR_DETERMINISM_PORTABLE;
  if (op == TSR_OP_GELU) {
    row.activations = bit(TSR_EPILOGUE_GELU_ERF) | bit(TSR_EPILOGUE_GELU_TANH);
  }
  if (op == TSR_OP_ROPE) {
    row.rope_styles = bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
  }
  return row;
}

// Caches whose codes are exact in bf16, and those whose are not.
constexpr uint32_t kBf16Kv =
    bit(TSR_KV_BF16) | bit(TSR_KV_I8_TOKEN) | bit(TSR_KV_I8_CHANNEL);
constexpr uint32_t kWideKv = bit(TSR_KV_F32) | bit(TSR_KV_F16);
constexpr uint32_t kFloatKv = kBf16Kv | kWideKv;

tsr_kernel_desc attention_row(const char* name, uint32_t dtypes,
                              uint32_t kv_formats, uint32_t error_class) {
  tsr_kernel_desc row = base_row(TSR_OP_ATTENTION, name);
  row.x_dtypes = row.y_dtypes = dtypes;
  row.kv_formats = kv_formats;
  row.determinism = error_class == TSR_ERROR_EXACT ? TSR_DETERMINISM_PORTABLE
                                                   : TSR_DETERMINISM_RUN;
  row.error_class = error_class;
  row.masks = bit(TSR_MASK_CAUSAL) | bit(TSR_MASK_FULL) | bit(TSR_MASK_SLIDING);
  return row;
}

tsr_kernel_desc kv_append_row() {
  tsr_kernel_desc row = base_row(TSR_OP_KV_APPEND, "kv_append");
  row.determinism = TSR_DETERMINISM_PORTABLE;
  row.error_class = TSR_ERROR_EXACT;
  row.kv_formats = kFloatKv | bit(TSR_KV_I8_HEAD);
  row.rope_styles =
      bit(TSR_ROPE_NONE) | bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
  return row;
}

std::vector<tsr_kernel_desc> other_rows() {
  return {
      // Where queries are bf16, products may be of bf16 weights too.
      attention_row("attention_bf16", bit(TSR_BF16), kBf16Kv,
                    TSR_ERROR_HALF_PRODUCTS),
      attention_row("attention_bf16_wide", bit(TSR_BF16), kWideKv,
                    TSR_ERROR_DOT),
      attention_row("attention", kFloats & ~bit(TSR_BF16), kFloatKv,
                    TSR_ERROR_DOT),
      attention_row("attention_fa3", kFloats, bit(TSR_KV_I8_HEAD),
                    TSR_ERROR_EXACT),
      kv_append_row(),
      row_op(TSR_OP_RMS_NORM, "rms_norm"),
      row_op(TSR_OP_LAYER_NORM, "layer_norm"),
      row_op(TSR_OP_ROPE, "rope"),
      row_op(TSR_OP_ADD, "add"),
      row_op(TSR_OP_SILU_MUL, "silu_mul"),
      row_op(TSR_OP_GELU, "gelu"),
      row_op(TSR_OP_SOFTMAX, "softmax"),
      row_op(TSR_OP_EMBEDDING, "embedding"),
      row_op(TSR_OP_GATHER_ROWS, "gather_rows"),
  };
}

}  // namespace

tsr_array kernel_rows() {
  static const std::vector<tsr_kernel_desc> rows = [] {
    std::vector<tsr_kernel_desc> all = linear_rows();
    const std::vector<tsr_kernel_desc> others = other_rows();
    all.insert(all.end(), others.begin(), others.end());
    return all;
  }();
  return {rows.data(), static_cast<uint32_t>(rows.size()),
          sizeof(tsr_kernel_desc)};
}

}  // namespace tessera::cpu
