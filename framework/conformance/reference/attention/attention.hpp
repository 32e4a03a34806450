// SPDX-License-Identifier: Apache-2.0
//
// ATTENTION over a paged KV cache: float, and the exact integer form (fa3).

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "framework/conformance/reference/sum_order.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

// One step for a batch.  The last token of sequence s has position
// seq_lens[s] - 1; the tokens before it follow on each other.
struct Attention {
  uint32_t num_seqs = 0;
  uint32_t num_q_heads = 0;
  const float* q = nullptr;           // [num_tokens, num_q_heads, head_dim]
  const int32_t* q_starts = nullptr;  // [num_seqs + 1]
  const int32_t* seq_lens = nullptr;  // [num_seqs]; this step's tokens included
  const int32_t* block_table = nullptr;  // [num_seqs, max_blocks_per_seq]
  uint32_t max_blocks_per_seq = 0;
  uint32_t mask = TSR_MASK_CAUSAL;
  uint32_t window = 0;  // TSR_MASK_SLIDING only
  float scale = 1.0f;
  const float* kv_scale = nullptr;  // static I8 formats; as in KvPool::read
  // float attention only
  SumOrder sum_order = SumOrder::kDouble;
  // What q, the cached values and exp(score - maximum) are rounded to before
  // they are multiplied: F32 (as they are), or F16 or BF16, as of a unit that
  // multiplies 16-bit floats.  The sum that results are divided by is of the
  // exponentials as they are.
  uint32_t factor_dtype = TSR_F32;
  // In the f32 orders: the exponentials and their sum are the portable ones
  // (reference/portable.hpp), products are summed as sum_order says.
  bool portable_softmax = false;
  // fa3 only
  const float* q_inv = nullptr;         // [num_q_heads]
  const int32_t* thresholds = nullptr;  // [num_q_heads, 127]
};

// out = softmax(scale * q . k^T + mask) . v per sequence and head, in double
// or as sum_order says, rounded once to Out; query head h reads KV head h /
// (num_q_heads / num_kv_heads).
//
// Shapes  out as q
// Errors  INVALID_ARGUMENT if num_q_heads % num_kv_heads != 0, for an unknown
//         mask, a window of 0, missing scales, or step tensors that do not fit
//         together or the pool
// Source  Vaswani et al., arXiv:1706.03762, eq. 1; Kwon et al.,
//         arXiv:2309.06180 (block table); Ainslie et al., arXiv:2305.13245
//         (grouped heads)
template <typename Out>
Status attention(const Attention& p, const KvPool& pool, Out* out);

// fa3, bit for bit: q becomes s8 with q_inv, scores and both sums are exact in
// integers, probabilities are codes from the thresholds.
//
//   P = number of k with rowmax - s <= thresholds[k - 1]
//   o = RN(f32(sum of P * v) * RN(scale_v / f32(sum of P)))
//
// A head of q with NaN or infinity gives NaN.
//
// Requires  thresholds as format::probability_thresholds makes them
// Errors    as attention; INVALID_ARGUMENT if the pool is not I8_HEAD, a
//           sequence is longer than 133,000, or a plane is missing
// Source    numerics.md section 2
Status attention_fa3(const Attention& p, const KvPool& pool, float* out);

}  // namespace tessera::reference
