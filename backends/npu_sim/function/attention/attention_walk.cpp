// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/function/attention/attention_walk.hpp"

#include <algorithm>
#include <string>

#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

// 127 * 127 * kMaxIntegerKeys fits i32.
constexpr int64_t kMaxIntegerKeys = 133000;

[[noreturn]] void refuse(const std::string& why,
                         tsr_status code = TSR_INVALID_ARGUMENT) {
  throw sdk::Error(code, "attention: " + why);
}

std::string named(const char* name, int64_t value) {
  return std::string(name) + "=" + std::to_string(value);
}

void check_tensors(const AttentionStep& op) {
  const KvLayout& layout = op.pool.layout;
  if (op.num_q_heads <= 0 || op.num_q_heads % layout.num_kv_heads != 0) {
    refuse(named("num_q_heads", op.num_q_heads) + " is not a multiple of " +
           named("num_kv_heads", layout.num_kv_heads));
  }
  if (op.mask > TSR_MASK_SLIDING)
    refuse(named("mask", op.mask) + " is unknown");
  if (op.mask == TSR_MASK_SLIDING && op.window <= 0) {
    refuse(named("window", op.window) + " hides every key");
  }
  if (layout.has_static_scales() && op.kv_scale == nullptr) {
    refuse("kv_scale is missing for an int8 cache with static scales");
  }
  if (layout.format == TSR_KV_I8_HEAD &&
      (op.q_inv == nullptr || op.thresholds == nullptr)) {
    refuse("q_inv or thresholds is missing for int8 attention");
  }
}

void check_sequence(const AttentionStep& op, int64_t s) {
  const KvLayout& layout = op.pool.layout;
  const std::string where = "sequence " + std::to_string(s) + ": ";
  const int64_t q_len = int64_t{op.q_starts[s + 1]} - op.q_starts[s];
  const int64_t seq_len = op.seq_lens[s];
  if (op.q_starts[s] < 0 || q_len < 0 || op.q_starts[s + 1] > op.num_tokens) {
    refuse(where + "q_starts go from " + std::to_string(op.q_starts[s]) +
           " to " + std::to_string(op.q_starts[s + 1]) + " in a step of " +
           named("num_tokens", op.num_tokens));
  }
  if (q_len == 0) return;
  if (seq_len < q_len) {
    refuse(where + named("seq_len", seq_len) + " is less than " +
           named("q_len", q_len));
  }
  const int64_t blocks = (seq_len + layout.block_size - 1) / layout.block_size;
  if (blocks > op.max_blocks_per_seq) {
    refuse(where + named("seq_len", seq_len) + " does not fit " +
           named("max_blocks_per_seq", op.max_blocks_per_seq) + " of " +
           named("block_size", layout.block_size));
  }
  const KeyRange first = visible_keys(op, s, seq_len - q_len);
  const int64_t most =
      op.mask == TSR_MASK_SLIDING ? std::min(seq_len, op.window) : seq_len;
  if (layout.format == TSR_KV_I8_HEAD && most > kMaxIntegerKeys) {
    refuse(where + std::to_string(most) +
               " visible keys are more than i32 sums hold, " +
               std::to_string(kMaxIntegerKeys),
           TSR_UNIMPLEMENTED);
  }
  const int32_t* table = op.block_table + s * op.max_blocks_per_seq;
  for (int64_t b = first.begin / layout.block_size; b < blocks; ++b) {
    if (table[b] < 0 || table[b] >= layout.num_blocks) {
      refuse(where + "block " + std::to_string(table[b]) + " at " +
             std::to_string(b) + " of its table is not in the pool of " +
             std::to_string(layout.num_blocks));
    }
  }
}

}  // namespace

void check_attention(const AttentionStep& op) {
  check_tensors(op);
  for (int64_t s = 0; s < op.num_seqs; ++s) check_sequence(op, s);
}

std::vector<QueryBlock> query_blocks(const AttentionStep& op) {
  std::vector<QueryBlock> blocks;
  for (int64_t s = 0; s < op.num_seqs; ++s) {
    const int64_t begin = op.q_starts[s];
    const int64_t end = op.q_starts[s + 1];
    for (int64_t t = begin; t < end; t += kTokensPerBlock) {
      for (int64_t h = 0; h < op.pool.layout.num_kv_heads; ++h) {
        blocks.push_back({s, h, t, std::min(kTokensPerBlock, end - t),
                          op.seq_lens[s] - (end - t)});
      }
    }
  }
  return blocks;
}

KeyRange visible_keys(const AttentionStep& op, int64_t seq, int64_t position) {
  const int64_t seq_len = op.seq_lens[seq];
  if (op.mask == TSR_MASK_FULL) return {0, seq_len};
  if (op.mask == TSR_MASK_CAUSAL) return {0, position + 1};
  return {std::max<int64_t>(0, position + 1 - op.window), position + 1};
}

KeyRange visible_keys(const AttentionStep& op, const QueryBlock& block) {
  const KeyRange first = visible_keys(op, block.seq, block.first_position);
  const KeyRange last =
      visible_keys(op, block.seq, block.first_position + block.num_tokens - 1);
  return {first.begin, last.end};
}

int64_t slot_of(const AttentionStep& op, int64_t seq, int64_t key) {
  const int64_t size = op.pool.layout.block_size;
  const int64_t block =
      op.block_table[seq * op.max_blocks_per_seq + key / size];
  return block * size + key % size;
}

}  // namespace tessera::npu
