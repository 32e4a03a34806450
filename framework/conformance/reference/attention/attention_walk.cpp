// SPDX-License-Identifier: Apache-2.0
//
// Checks of a step, and the masks.

#include "framework/conformance/reference/attention/attention_walk.hpp"

#include <algorithm>
#include <string>

namespace tessera::reference {
namespace {

Status bad(const std::string& why) {
  return Status(TSR_INVALID_ARGUMENT, "attention: " + why);
}

Status check_options(const Attention& p, const KvPool& pool) {
  const tsr_kv_desc& desc = pool.desc();
  if (p.num_q_heads == 0 || p.num_q_heads % desc.num_kv_heads != 0) {
    return bad("num_q_heads=" + std::to_string(p.num_q_heads) +
               " is not a multiple of num_kv_heads=" +
               std::to_string(desc.num_kv_heads));
  }
  if (p.mask > TSR_MASK_SLIDING) {
    return bad("mask " + std::to_string(p.mask) + " is unknown");
  }
  if (p.mask == TSR_MASK_SLIDING && p.window == 0) return bad("window=0");
  const bool is_static =
      desc.format == TSR_KV_I8_CHANNEL || desc.format == TSR_KV_I8_HEAD;
  if (is_static && p.kv_scale == nullptr) return bad("no kv_scale");
  return {};
}

Status check_sequence(const Attention& p, const KvPool& pool, uint32_t seq) {
  const std::string name = "sequence " + std::to_string(seq);
  const int64_t q_len = int64_t{p.q_starts[seq + 1]} - p.q_starts[seq];
  const int64_t seq_len = p.seq_lens[seq];
  if (q_len < 0 || p.q_starts[seq] < 0) {
    return bad(name + ": q_starts " + std::to_string(p.q_starts[seq]) +
               " and " + std::to_string(p.q_starts[seq + 1]));
  }
  if (q_len == 0) return {};
  const tsr_kv_desc& desc = pool.desc();
  const uint64_t room = uint64_t{p.max_blocks_per_seq} * desc.block_size;
  if (seq_len < q_len || static_cast<uint64_t>(seq_len) > room) {
    return bad(name + ": seq_len " + std::to_string(seq_len) + " with " +
               std::to_string(q_len) + " tokens and room for " +
               std::to_string(room));
  }
  const int64_t blocks = (seq_len + desc.block_size - 1) / desc.block_size;
  for (int64_t i = 0; i < blocks; ++i) {
    const int32_t block = p.block_table[seq * uint64_t{p.max_blocks_per_seq} +
                                        static_cast<uint64_t>(i)];
    if (block < 0 || static_cast<uint32_t>(block) >= desc.num_blocks) {
      return bad(name + ": block " + std::to_string(block) + " of " +
                 std::to_string(desc.num_blocks));
    }
  }
  return {};
}

}  // namespace

Status check_attention(const Attention& p, const KvPool& pool) {
  TSR_RETURN_IF_ERROR(check_options(p, pool));
  for (uint32_t seq = 0; seq < p.num_seqs; ++seq) {
    TSR_RETURN_IF_ERROR(check_sequence(p, pool, seq));
  }
  return {};
}

uint64_t slot_of(const Attention& p, const KvPool& pool, uint32_t seq,
                 uint32_t position) {
  const uint32_t block_size = pool.desc().block_size;
  const auto block =
      static_cast<uint64_t>(p.block_table[seq * uint64_t{p.max_blocks_per_seq} +
                                          position / block_size]);
  return block * block_size + position % block_size;
}

std::vector<double> read_cache(const Attention& p, const KvPool& pool,
                               KvPart part, uint32_t seq, uint32_t kv_head) {
  const auto seq_len = static_cast<uint32_t>(p.seq_lens[seq]);
  const size_t D = pool.desc().head_dim;
  std::vector<double> values(seq_len * D);
  for (uint32_t position = 0; position < seq_len; ++position) {
    pool.read(part, slot_of(p, pool, seq, position), kv_head, p.kv_scale,
              {&values[position * D], D});
  }
  return values;
}

Visible visible_positions(const Attention& p, uint32_t position,
                          uint32_t seq_len) {
  if (p.mask == TSR_MASK_FULL) return {0, seq_len};
  const uint32_t end = position + 1;
  if (p.mask == TSR_MASK_CAUSAL) return {0, end};
  return {end - std::min(end, p.window), end};
}

}  // namespace tessera::reference
