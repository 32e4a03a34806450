// SPDX-License-Identifier: Apache-2.0
//
// Structs that cross to kernels by value; kernels/args.cl has the same.  Places
// in buffers are byte offsets unless a name says otherwise.

#pragma once

#include <CL/cl.h>

#include "tessera/kv_layout.hpp"

namespace tessera::opencl {

// Rows of a tensor: row r starts at element r * stride from `offset`.
struct RowPlace {
  cl_ulong offset = 0;
  cl_long stride = 0;
  cl_int dtype = 0;  // 0: there is no such tensor
  cl_int reserved = 0;
};

struct RotateArgs {
  cl_ulong positions_offset = 0;
  cl_ulong table_offset = 0;
  cl_int style = 0;
  cl_int rotary_dim = 0;
  cl_int max_positions = 0;
  cl_int head_dim = 0;
};

using sdk::KvPlace;

// What a linear does to the rows of x; offsets into its scratch, in floats.
struct ActivationArgs {
  cl_ulong values_offset = 0;
  cl_ulong scales_offset = 0;
  cl_int M = 0;      // NOLINT(*-naming): as in the formula
  cl_int K = 0;      // NOLINT(*-naming)
  cl_int panel = 1;  // 1 or 8 rows side by side
  cl_int num_decode_rows = 0;
  cl_int zero_point = 0;
  cl_float static_scale = 0;
  cl_float static_inv = 0;
  cl_int reserved = 0;
};

// A packed weight and what becomes of its products.  x and its scales are
// offsets in floats.
struct LinearArgs {
  cl_ulong codes_offset = 0;
  cl_ulong scales_offset = 0;
  cl_ulong zeros_offset = 0;
  cl_ulong mins_offset = 0;
  cl_ulong scale2_offset = 0;
  cl_ulong tile_bytes = 0;
  cl_ulong values_offset = 0;
  cl_ulong row_scales_offset = 0;
  cl_ulong bias_offset = 0;
  RowPlace y;
  RowPlace multiplier;
  RowPlace residual;
  cl_int M = 0;  // NOLINT(*-naming)
  cl_int K = 0;  // NOLINT(*-naming)
  cl_int n_begin = 0;
  cl_int n_end = 0;
  cl_int group_size = 0;
  cl_int padded_group = 0;
  cl_int num_groups = 0;
  cl_int activation = 0;
  cl_int accumulate = 0;
  cl_int has_bias = 0;
  cl_int has_quant_bias = 0;
  cl_int has_scale2 = 0;
};

// One step of attention.
struct AttentionArgs {
  cl_ulong q_starts_offset = 0;
  cl_ulong seq_lens_offset = 0;
  cl_ulong block_table_offset = 0;
  cl_ulong kv_scale_offset = 0;
  cl_ulong q_inv_offset = 0;
  cl_ulong thresholds_offset = 0;
  cl_int num_seqs = 0;
  cl_int num_tokens = 0;
  cl_int max_blocks_per_seq = 0;
  cl_int num_q_heads = 0;
  cl_int mask = 0;
  cl_int window = 0;
  cl_float scale = 0;
  cl_int reserved = 0;
};

}  // namespace tessera::opencl
