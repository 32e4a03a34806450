// SPDX-License-Identifier: Apache-2.0
//
// tessera/rows/kernel_rows.hpp - what a device says that runs every op in every
// type.

#pragma once

#include <vector>

#include "tessera/plugin.h"
#include "tessera/rows/linear_rows.hpp"

namespace tessera::sdk::rows {

namespace detail {

inline constexpr uint32_t kBothPhases = TSR_PREFILL | TSR_DECODE;

inline tsr_kernel_desc base_row(uint32_t op, const char* name) {
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
inline tsr_kernel_desc row_op(uint32_t op, const char* name) {
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

inline constexpr uint32_t kFloatKv = bit(TSR_KV_F32) | bit(TSR_KV_F16) |
                                     bit(TSR_KV_BF16) | bit(TSR_KV_I8_TOKEN) |
                                     bit(TSR_KV_I8_CHANNEL);

// Heads are kept in registers and private memory.
inline constexpr tsr_range kHeadDims{1, 512, 1};

inline tsr_kernel_desc attention_row(const char* name, uint32_t kv_formats,
                                     uint32_t determinism,
                                     uint32_t error_class) {
  tsr_kernel_desc row = base_row(TSR_OP_ATTENTION, name);
  row.kv_formats = kv_formats;
  row.determinism = determinism;
  row.error_class = error_class;
  row.masks = bit(TSR_MASK_CAUSAL) | bit(TSR_MASK_FULL) | bit(TSR_MASK_SLIDING);
  row.head_dim = kHeadDims;
  return row;
}

inline tsr_kernel_desc kv_append_row() {
  tsr_kernel_desc row = base_row(TSR_OP_KV_APPEND, "kv_append");
  row.determinism = TSR_DETERMINISM_PORTABLE;
  row.error_class = TSR_ERROR_EXACT;
  row.kv_formats = kFloatKv | bit(TSR_KV_I8_HEAD);
  row.head_dim = kHeadDims;
  row.rope_styles =
      bit(TSR_ROPE_NONE) | bit(TSR_ROPE_HALF) | bit(TSR_ROPE_INTERLEAVED);
  return row;
}

inline std::vector<tsr_kernel_desc> other_rows() {
  return {
      attention_row("attention", kFloatKv, TSR_DETERMINISM_RUN, TSR_ERROR_DOT),
      attention_row("attention_fa3", bit(TSR_KV_I8_HEAD),
                    TSR_DETERMINISM_PORTABLE, TSR_ERROR_EXACT),
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

}  // namespace detail

// Of tsr_kernel_desc.
inline tsr_array kernel_rows() {
  static const std::vector<tsr_kernel_desc> rows = [] {
    std::vector<tsr_kernel_desc> all = linear_rows();
    const std::vector<tsr_kernel_desc> others = detail::other_rows();
    all.insert(all.end(), others.begin(), others.end());
    return all;
  }();
  return {rows.data(), static_cast<uint32_t>(rows.size()),
          sizeof(tsr_kernel_desc)};
}

}  // namespace tessera::sdk::rows
