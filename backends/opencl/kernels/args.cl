// SPDX-License-Identifier: Apache-2.0
//
// Arguments that cross from C++ by value; backends/opencl/kernel_args.hpp has
// the same structs.

// Rows of a tensor: row r starts at element r * stride from byte `offset`.
typedef struct {
  ulong offset;
  long stride;
  int dtype;
  int reserved;
} RowPlace;

typedef struct {
  ulong positions_offset;
  ulong table_offset;
  int style;
  int rotary_dim;
  int max_positions;
  int head_dim;
} RotateArgs;

// A pool of canonical blocks.
typedef struct {
  ulong offset;
  ulong block_bytes;
  ulong row_bytes;  // of one head of one token
  ulong v_offset;
  ulong k_scale_offset;
  ulong v_scale_offset;
  int format;
  int num_kv_heads;
  int block_size;
  int num_blocks;
} KvPlace;

// What a linear does to the rows of x; offsets into its scratch, in floats.
typedef struct {
  ulong values_offset;
  ulong scales_offset;
  int M;
  int K;
  int panel;  // 1 or 8 rows side by side
  int num_decode_rows;
  int zero_point;
  float static_scale;
  float static_inv;
  int reserved;
} ActivationArgs;

// A packed weight (backends/opencl/packing/weight_shape.hpp) and what becomes
// of its products.  Weight sections are byte offsets, x and its scales offsets
// in floats.
typedef struct {
  ulong codes_offset;
  ulong scales_offset;
  ulong zeros_offset;
  ulong mins_offset;
  ulong scale2_offset;
  ulong tile_bytes;
  ulong values_offset;
  ulong row_scales_offset;
  ulong bias_offset;
  RowPlace y;
  RowPlace multiplier;
  RowPlace residual;
  int M;
  int K;
  int n_begin;
  int n_end;
  int group_size;
  int padded_group;
  int num_groups;
  int activation;
  int accumulate;
  int has_bias;
  int has_quant_bias;
  int has_scale2;
} LinearArgs;

// One step of attention.
typedef struct {
  ulong q_starts_offset;
  ulong seq_lens_offset;
  ulong block_table_offset;
  ulong kv_scale_offset;
  ulong q_inv_offset;
  ulong thresholds_offset;
  int num_seqs;
  int num_tokens;
  int max_blocks_per_seq;
  int num_q_heads;
  int mask;
  int window;
  float scale;
  int reserved;
} AttentionArgs;
