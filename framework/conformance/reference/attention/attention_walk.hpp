// SPDX-License-Identifier: Apache-2.0
//
// What both forms of attention share: the checks of a step, and which cached
// positions a token may see.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/attention/attention.hpp"

namespace tessera::reference {

// Everything that indexing relies on.
Status check_attention(const Attention& p, const KvPool& pool);

// Where logical position `position` of sequence `seq` is stored.
uint64_t slot_of(const Attention& p, const KvPool& pool, uint32_t seq,
                 uint32_t position);

// Positions begin .. end - 1, never empty.
struct Visible {
  uint32_t begin;
  uint32_t end;
};
Visible visible_positions(const Attention& p, uint32_t position,
                          uint32_t seq_len);

// K or V of one sequence and KV head as real numbers, [seq_len, head_dim].
std::vector<double> read_cache(const Attention& p, const KvPool& pool,
                               KvPart part, uint32_t seq, uint32_t kv_head);

// Calls visit(seq, first token's row, number of tokens, seq_len) for each
// sequence with tokens in this step.
template <typename Visit>
void for_each_sequence(const Attention& p, const Visit& visit) {
  for (uint32_t seq = 0; seq < p.num_seqs; ++seq) {
    const auto first = static_cast<uint32_t>(p.q_starts[seq]);
    const auto end = static_cast<uint32_t>(p.q_starts[seq + 1]);
    if (first == end) continue;
    visit(seq, first, end - first, static_cast<uint32_t>(p.seq_lens[seq]));
  }
}

}  // namespace tessera::reference
