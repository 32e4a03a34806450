// SPDX-License-Identifier: Apache-2.0
//
// Attention over a paged KV cache as a function of pointers and shapes.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/attention/kv_layout.hpp"
#include "backends/cpu/kernels/isa.hpp"
#include "backends/cpu/kernels/parallel.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

// One attention op of one step; the contract is that of tsr_op_attention.
struct Attention {
  int64_t num_seqs = 0;
  int64_t num_tokens = 0;
  int64_t num_q_heads = 0;
  uint32_t dtype = 0;       // of q and out: TSR_F32, TSR_F16 or TSR_BF16
  const void* q = nullptr;  // [num_tokens, num_q_heads, head_dim]
  int64_t q_stride = 0;     // elements from one token to the next
  void* out = nullptr;
  int64_t out_stride = 0;

  KvLayout kv;
  const std::byte* pool = nullptr;

  const int32_t* q_starts = nullptr;     // [num_seqs + 1]
  const int32_t* seq_lens = nullptr;     // [num_seqs]
  const int32_t* block_table = nullptr;  // [num_seqs, max_blocks_per_seq]
  int64_t max_blocks_per_seq = 0;

  float scale = 1.0f;
  uint32_t mask = TSR_MASK_CAUSAL;
  int64_t window = 0;  // TSR_MASK_SLIDING only

  const float* kv_scale = nullptr;  // I8_CHANNEL [2, num_kv_heads, head_dim],
                                    // I8_HEAD [2, num_kv_heads]
  const float* q_inv = nullptr;     // I8_HEAD: [num_q_heads]
  const int32_t* thresholds = nullptr;  // I8_HEAD: [num_q_heads, 127]; entry
                                        // k - 1: P >= k iff d <= entry
};

// What bounds the workspace of every step of a program.
struct AttentionLimits {
  int64_t max_seqs = 0;
  int64_t max_tokens = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  uint32_t num_threads = 1;
};

// Bytes of workspace that attention() needs for any step within `limits`.
// Errors   throws Error INVALID_ARGUMENT if a size is 0 or the heads disagree
size_t attention_workspace_bytes(const AttentionLimits& limits);

struct AttentionWorkspace {
  std::byte* data = nullptr;  // aligned to 64
  size_t bytes = 0;
};

// Computes `op` with the best kernel up to `isa`.  Allocates nothing.
//
// The order of float sums depends on the ISA and on each sequence's own q_len,
// seq_len and heads: neither on threads nor on the rest of the batch.  With KV
// I8_HEAD (fa3) the bits are those of numerics.md section 2.
//
// Errors   throws Error, out untouched:
//          INVALID_ARGUMENT if types, heads, q_starts, seq_lens or blocks that
//          are read make no sense, or the workspace is too small;
//          UNIMPLEMENTED for fa3 over more than 133,000 visible keys
// Source   Dao et al., arXiv:2205.14135, Milakov and Gimelshein,
//          arXiv:1805.02867 (online softmax); Dao et al., "Flash-Decoding"
//          (split over KV)
void attention(const Attention& op, const AttentionWorkspace& workspace,
               const Parallel& parallel, Isa isa);

}  // namespace tessera::cpu
