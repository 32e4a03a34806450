// SPDX-License-Identifier: Apache-2.0
//
// The arguments of every attention.

#include "kv.glsl"

layout(constant_id = 1) const uint KV_FORMAT = 1u;

#define MASK_CAUSAL 0
#define MASK_FULL 1
#define MASK_SLIDING 2

struct Args {
  RowPlace q;
  RowPlace y;
  KvRows kv;
  uint64_t q_starts;
  uint64_t seq_lens;
  uint64_t block_table;
  uint64_t kv_scale;
  uint64_t q_inv;
  uint64_t thresholds;
  uint64_t fault;
  uint64_t queries;    // scratch: see attention_parts.glsl
  uint64_t distances;  // likewise, of FA3
  int num_seqs;
  int num_tokens;
  int max_blocks_per_seq;
  int num_q_heads;
  int head_dim;
  int mask;
  int window;
  float scale;
};
READ_ARGS_ONCE(Args)
