// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/kit/trial/paged_step.hpp"

#include <algorithm>
#include <numeric>

namespace tessera::conformance {
namespace {

// Read by nobody who keeps to seq_lens.
constexpr int32_t kNoBlock = 0x7fffffff;

}  // namespace

PagedStep make_paged_step(const std::vector<Sequence>& sequences,
                          uint32_t block_size, std::mt19937& rng) {
  PagedStep step;
  uint32_t blocks = 0;
  for (const Sequence& sequence : sequences) {
    const uint32_t own = (sequence.seq_len + block_size - 1) / block_size;
    blocks += own;
    step.max_blocks_per_seq = std::max(step.max_blocks_per_seq, own + 1);
    step.max_q_len = std::max(step.max_q_len, sequence.q_len);
    step.max_seq_len = std::max(step.max_seq_len, sequence.seq_len);
  }
  // One block in three is nobody's.
  step.num_blocks = blocks + blocks / 2 + 2;
  std::vector<int32_t> order(step.num_blocks);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), rng);
  step.used.assign(step.num_blocks, false);
  step.block_table.assign(sequences.size() * step.max_blocks_per_seq, kNoBlock);
  step.q_starts.push_back(0);
  size_t next = 0;
  bool decoding = true;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const Sequence& sequence = sequences[s];
    const uint32_t own = (sequence.seq_len + block_size - 1) / block_size;
    int32_t* row = &step.block_table[s * step.max_blocks_per_seq];
    for (uint32_t b = 0; b < own; ++b) {
      row[b] = order[next++];
      step.used[static_cast<size_t>(row[b])] = true;
    }
    for (uint32_t t = 0; t < sequence.q_len; ++t) {
      const uint32_t position = sequence.seq_len - sequence.q_len + t;
      step.positions.push_back(static_cast<int32_t>(position));
      step.slots.push_back(row[position / block_size] *
                               static_cast<int32_t>(block_size) +
                           static_cast<int32_t>(position % block_size));
    }
    step.num_tokens += sequence.q_len;
    decoding = decoding && sequence.q_len == 1;
    if (decoding) ++step.num_decode_tokens;
    step.q_starts.push_back(static_cast<int32_t>(step.num_tokens));
    step.seq_lens.push_back(static_cast<int32_t>(sequence.seq_len));
  }
  return step;
}

}  // namespace tessera::conformance
