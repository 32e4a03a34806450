// SPDX-License-Identifier: Apache-2.0
//
// One step of attention over a paged cache with random contents: the inputs
// that attention tests share.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/attention/kv.hpp"
#include "tests/unit/framework/conformance/reference/random_values.hpp"

namespace tessera::reference {

struct StepSequence {
  uint32_t q_len;
  uint32_t seq_len;
};

// Sequences whose blocks lie scattered over the pool; the cache was filled by
// kv_append, one token at a time, from `k` and `v`.  `attention` points into
// the vectors, so a step may be moved but not copied.
struct PagedStep {
  PagedStep() = default;
  PagedStep(PagedStep&&) = default;
  PagedStep& operator=(PagedStep&&) = default;

  tsr_kv_desc desc{};
  std::vector<StepSequence> sequences;
  std::vector<std::byte> memory;
  std::vector<int32_t> q_starts;
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> block_table;
  std::vector<std::vector<float>> k;  // of each sequence, [seq_len, heads, D]
  std::vector<std::vector<float>> v;
  std::vector<float> q;
  std::vector<float> kv_scale;  // static formats
  std::vector<float> kv_inv;
  Attention attention;

  KvPool pool() { return *KvPool::open(desc, memory); }
  size_t num_tokens() const { return static_cast<size_t>(q_starts.back()); }
  size_t q_size() const {
    return num_tokens() * attention.num_q_heads * desc.head_dim;
  }
};

inline void fill_cache(PagedStep& step, std::mt19937& rng) {
  const KvPool pool = step.pool();
  const uint32_t token_size = step.desc.num_kv_heads * step.desc.head_dim;
  for (uint32_t s = 0; s < step.sequences.size(); ++s) {
    const uint32_t seq_len = step.sequences[s].seq_len;
    step.k.push_back(normal_values(rng, size_t{seq_len} * token_size));
    step.v.push_back(normal_values(rng, size_t{seq_len} * token_size));
    for (uint32_t position = 0; position < seq_len; ++position) {
      const uint32_t bs = step.desc.block_size;
      const int32_t block =
          step.block_table[s * step.attention.max_blocks_per_seq +
                           position / bs];
      const int32_t slot = block * static_cast<int32_t>(bs) +
                           static_cast<int32_t>(position % bs);
      KvAppend append;
      append.num_tokens = 1;
      append.k = &step.k[s][size_t{position} * token_size];
      append.v = &step.v[s][size_t{position} * token_size];
      append.slot_mapping = &slot;
      append.kv_inv = step.kv_inv.empty() ? nullptr : step.kv_inv.data();
      const Status status = kv_append(append, pool);
      if (!status.ok()) std::abort();
    }
  }
}

inline PagedStep make_step(uint32_t kv_format, uint32_t num_q_heads,
                           uint32_t num_kv_heads, uint32_t head_dim,
                           const std::vector<StepSequence>& sequences) {
  std::mt19937 rng(42);
  PagedStep step;
  step.sequences = sequences;
  step.desc.struct_size = sizeof(step.desc);
  step.desc.format = kv_format;
  step.desc.num_kv_heads = num_kv_heads;
  step.desc.head_dim = head_dim;
  step.desc.block_size = 4;
  step.attention.max_blocks_per_seq = 8;
  step.desc.num_blocks = static_cast<uint32_t>(sequences.size()) * 8;

  // Block i of sequence s is entry s * 8 + i of the pool's blocks, shuffled.
  step.block_table.resize(step.desc.num_blocks);
  for (size_t i = 0; i < step.block_table.size(); ++i) {
    step.block_table[i] = static_cast<int32_t>(i);
  }
  std::shuffle(step.block_table.begin(), step.block_table.end(), rng);

  step.q_starts = {0};
  for (const StepSequence& sequence : sequences) {
    step.q_starts.push_back(step.q_starts.back() +
                            static_cast<int32_t>(sequence.q_len));
    step.seq_lens.push_back(static_cast<int32_t>(sequence.seq_len));
  }
  const auto layout = format::kv_block_layout(step.desc);
  step.memory.resize(layout->bytes * step.desc.num_blocks);

  const size_t scales = 2 * size_t{num_kv_heads} *
                        (kv_format == TSR_KV_I8_CHANNEL ? head_dim : size_t{1});
  if (kv_format == TSR_KV_I8_CHANNEL || kv_format == TSR_KV_I8_HEAD) {
    std::uniform_real_distribution<float> scale(0.02f, 0.03f);
    for (size_t i = 0; i < scales; ++i) {
      step.kv_scale.push_back(scale(rng));
      step.kv_inv.push_back(1.0f / step.kv_scale.back());
    }
  }
  fill_cache(step, rng);

  step.attention.num_q_heads = num_q_heads;
  step.q = normal_values(rng, step.q_size());
  step.attention.num_seqs = static_cast<uint32_t>(sequences.size());
  step.attention.q = step.q.data();
  step.attention.q_starts = step.q_starts.data();
  step.attention.seq_lens = step.seq_lens.data();
  step.attention.block_table = step.block_table.data();
  step.attention.scale = 0.3f;
  step.attention.kv_scale =
      step.kv_scale.empty() ? nullptr : step.kv_scale.data();
  return step;
}

}  // namespace tessera::reference
