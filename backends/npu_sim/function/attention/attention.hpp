// SPDX-License-Identifier: Apache-2.0
//
// ATTENTION as a simulated chip computes it: a streaming pass over tiles of
// keys, or exactly in integers (fa3).

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/function/attention/kv_pool.hpp"
#include "backends/npu_sim/function/half.hpp"
#include "backends/npu_sim/function/parallel.hpp"
#include "backends/npu_sim/function/rows.hpp"

namespace tessera::npu {

// Keys of a tile of integer attention, and of float attention if nothing else
// is said; tile t holds positions 128 t .. of a sequence, whatever the mask and
// the cache's blocks.
constexpr int64_t kKeyTile = 128;

// How float attention is cut.  A row's keys may be split between cores: the
// rows of a work, `rows` of the stacked (token, query head) ones of a KV head,
// see the same splits.
struct AttentionTiling {
  int64_t keys = kKeyTile;
  int64_t rows = 1;
  int64_t splits = 1;
};

struct AttentionStep {
  int64_t num_seqs = 0;
  int64_t num_tokens = 0;
  int64_t num_q_heads = 0;
  ConstRows q;  // [num_tokens, num_q_heads * head_dim]
  Rows out;     // [num_tokens, num_q_heads * v_dim]
  KvPool pool;
  const int32_t* q_starts = nullptr;
  const int32_t* seq_lens = nullptr;
  const int32_t* block_table = nullptr;
  int64_t max_blocks_per_seq = 0;
  uint32_t mask = 0;
  int64_t window = 0;
  float scale = 1.0f;
  const float* kv_scale = nullptr;  // static I8 formats
  const float* q_inv = nullptr;     // fa3, like thresholds
  const int32_t* thresholds = nullptr;
  AttentionTiling tiling;
};

// One tile of keys and values of one head, and the rows that read it.
struct AttentionScratch {
  std::vector<std::vector<float>> floats;      // by task
  std::vector<std::vector<int16_t>> integers;  // by task
};

// Float attention.  The cube's type is that of the cache, F16 for int8 caches,
// whose codes become RN16(RN(code * scale)).  Per query row, for tiles in
// ascending order:
//
//   s[j] = RN((sum of q16 * k16, ascending) * scale)
//   m'   = max(m, max s); c = exp(m - m'); p[j] = exp(s[j] - m')
//   l    = RN(RN(l * c) + portable sum of p)
//   o    = RN(RN(o * c) + sum over j of RN16(p[j]) * v16[j], ascending from 0)
//
// and o / l at the end; splits are brought together before that, each rescaled
// to the larger maximum, in ascending order.  exp and the portable sum (lane j
// of 64 for key j of the tile) are those of tessera/portable_math.h; products
// are exact, sums round to f32.
//
// Errors   throws sdk::Error INVALID_ARGUMENT for step tensors that do not fit
//          together or the pool, or missing scales
void attention(const AttentionStep& op, AttentionScratch& scratch,
               const Parallel& parallel);

// numerics.md section 2 bit for bit, over an I8_HEAD pool.
//
// Errors   as attention; UNIMPLEMENTED for more keys than i32 sums hold
void attention_fa3(const AttentionStep& op, AttentionScratch& scratch,
                   const Parallel& parallel);

}  // namespace tessera::npu
