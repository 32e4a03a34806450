// SPDX-License-Identifier: Apache-2.0
//
// Structs that shaders read by address; the .comp and .glsl files have the same
// under the same names.  Places are addresses of the device; 0 is none.

#pragma once

#include <cstdint>

#include "backends/vulkan/kv_pool.hpp"

namespace tessera::vulkan {

// Rows of a tensor: row r starts at element r * stride from `address`.
struct RowPlace {
  uint64_t address = 0;
  int64_t stride = 0;
  int32_t dtype = 0;  // 0: there is no such tensor
  int32_t reserved = 0;
};

struct MapArgs {
  RowPlace a;
  RowPlace b;
  RowPlace y;
  uint64_t ids = 0;
  uint64_t fault = 0;
  int32_t rows = 0;
  int32_t width = 0;
  int32_t table_rows = 0;
  int32_t reserved = 0;
};

struct NormArgs {
  RowPlace x;
  RowPlace y;
  RowPlace weight;
  RowPlace bias;
  int32_t rows = 0;
  int32_t width = 0;
  float factor = 0.0f;
  int32_t reserved = 0;
};

struct RotateArgs {
  uint64_t positions = 0;
  uint64_t table = 0;
  int32_t style = 0;
  int32_t rotary_dim = 0;
  int32_t max_positions = 0;
  int32_t head_dim = 0;
};

struct RopeArgs {
  RowPlace x;
  RowPlace y;
  RotateArgs rotate;
  uint64_t fault = 0;
};

struct KvAppendArgs {
  RowPlace k;
  RowPlace v;
  KvRows kv;
  RotateArgs rotate;
  uint64_t slots = 0;
  uint64_t inv = 0;
  uint64_t fault = 0;
};

struct AttentionArgs {
  RowPlace q;
  RowPlace y;
  KvRows kv;
  uint64_t q_starts = 0;
  uint64_t seq_lens = 0;
  uint64_t block_table = 0;
  uint64_t kv_scale = 0;
  uint64_t q_inv = 0;
  uint64_t thresholds = 0;
  uint64_t fault = 0;
  uint64_t queries = 0;
  uint64_t distances = 0;
  int32_t num_seqs = 0;
  int32_t num_tokens = 0;
  int32_t max_blocks_per_seq = 0;
  int32_t num_q_heads = 0;
  int32_t head_dim = 0;
  int32_t mask = 0;
  int32_t window = 0;
  float scale = 0.0f;
};

// What a linear does to the rows of x.
struct ActivationArgs {
  RowPlace x;
  uint64_t values = 0;
  uint64_t scales = 0;
  uint64_t shifts = 0;
  uint64_t permutation = 0;
  uint64_t multiplier = 0;
  int32_t rows = 0;
  int32_t K = 0;  // NOLINT(*-naming): as in the formula
  int32_t columns = 0;
  int32_t group_size = 0;
  int32_t padded_group = 0;
  int32_t act_quant = 0;
  int32_t num_decode_rows = 0;
  int32_t zero_point = 0;
  float static_scale = 0.0f;
  float static_inv = 0.0f;
};

// A packed weight and what becomes of its products.
struct LinearArgs {
  uint64_t codes = 0;
  uint64_t scales = 0;
  uint64_t zeros = 0;
  uint64_t mins = 0;
  uint64_t books = 0;
  uint64_t starts = 0;
  uint64_t escapes = 0;
  uint64_t scale2 = 0;
  uint64_t quant_bias = 0;
  uint64_t bias = 0;
  uint64_t values = 0;
  uint64_t row_scales = 0;
  uint64_t row_shifts = 0;
  RowPlace y;
  RowPlace multiplier;
  RowPlace residual;
  uint64_t tile_bytes = 0;
  int32_t M = 0;  // NOLINT(*-naming)
  int32_t columns = 0;
  int32_t n_begin = 0;
  int32_t n_end = 0;
  int32_t num_groups = 0;
  int32_t group_chunks = 0;
  int32_t activation = 0;
  int32_t accumulate = 0;
  int32_t first_tile = 0;
  int32_t codes_tile = 0;
};

struct ExpandArgs {
  uint64_t expanded = 0;
  uint64_t starts = 0;
  int32_t first_tile = 0;
  int32_t columns = 0;
  int32_t num_groups = 0;
  int32_t group_chunks = 0;
};

}  // namespace tessera::vulkan
