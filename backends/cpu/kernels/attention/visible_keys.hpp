// SPDX-License-Identifier: Apache-2.0
//
// The masks: which keys a row of a sequence sees.

#pragma once

#include "backends/cpu/kernels/attention/attention_work.hpp"

namespace tessera::cpu {

// Of row `row` of sequence `seq`; see kRowTile for what a row is.
[[maybe_unused]] static VisibleKeys visible_keys(const Attention& op,
                                                 int64_t seq, int64_t row) {
  const int64_t seq_len = op.seq_lens[seq];
  if (op.mask == TSR_MASK_FULL) return {0, seq_len};
  const int64_t q_len = op.q_starts[seq + 1] - op.q_starts[seq];
  const int64_t token = row / (op.num_q_heads / op.kv.num_kv_heads);
  const int64_t end = seq_len - q_len + token + 1;
  if (op.mask == TSR_MASK_CAUSAL || end <= op.window) return {0, end};
  return {end - op.window, end};
}

}  // namespace tessera::cpu
