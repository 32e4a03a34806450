// SPDX-License-Identifier: Apache-2.0
//
// A batch over a paged KV cache: sequences of ragged lengths in blocks that lie
// anywhere, with blocks between them that belong to nobody.

#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace tessera::conformance {

struct Sequence {
  uint32_t q_len;
  uint32_t seq_len;  // q_len included
};

struct PagedStep {
  std::vector<int32_t> q_starts;
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> block_table;  // [seqs, max_blocks_per_seq]
  std::vector<int32_t> slots;        // [tokens]
  std::vector<int32_t> positions;    // [tokens]
  std::vector<bool> used;            // by block
  uint32_t max_blocks_per_seq = 0;
  uint32_t num_blocks = 0;
  uint32_t num_tokens = 0;
  uint32_t num_decode_tokens = 0;  // of the leading sequences with one token
  uint32_t max_q_len = 0;
  uint32_t max_seq_len = 0;
};

// Blocks in random order; entries of the table past a sequence's end name no
// block at all.
PagedStep make_paged_step(const std::vector<Sequence>& sequences,
                          uint32_t block_size, std::mt19937& rng);

}  // namespace tessera::conformance
