// SPDX-License-Identifier: Apache-2.0
//
// The checks of attention_check.hpp.

#include "backends/cpu/kernels/attention/attention_check.hpp"

#include <algorithm>
#include <string>

#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// 127 * 127 * kMaxIntegerKeys fits int32.
constexpr int64_t kMaxIntegerKeys = 133000;

[[noreturn]] void refuse(const std::string& message,
                         tsr_status code = TSR_INVALID_ARGUMENT) {
  throw sdk::Error(code, "attention: " + message);
}

std::string named(const char* name, int64_t value) {
  return std::string(name) + "=" + std::to_string(value);
}

void check_heads(int64_t num_q_heads, int64_t num_kv_heads, int64_t head_dim) {
  if (num_q_heads <= 0 || num_kv_heads <= 0 ||
      num_q_heads % num_kv_heads != 0) {
    refuse(named("num_q_heads", num_q_heads) + " is not a multiple of " +
           named("num_kv_heads", num_kv_heads));
  }
  if (head_dim <= 0 || head_dim > 4096) {
    refuse(named("head_dim", head_dim) + " is not in 1..4096");
  }
}

void check_tensors(const Attention& op) {
  if (op.dtype != TSR_F32 && op.dtype != TSR_F16 && op.dtype != TSR_BF16) {
    refuse(named("dtype", op.dtype) + " of q and out is not f32, f16 or bf16");
  }
  const int64_t row = op.num_q_heads * op.kv.head_dim;
  if (op.q_stride < row || op.out_stride < row) {
    refuse(named("q_stride", op.q_stride) + " or " +
           named("out_stride", op.out_stride) + " is less than a row of " +
           std::to_string(row));
  }
  if (op.mask > TSR_MASK_SLIDING)
    refuse(named("mask", op.mask) + " is unknown");
  if (op.mask == TSR_MASK_SLIDING && op.window <= 0) {
    refuse(named("window", op.window) + " hides every key");
  }
  const bool head = op.kv.format == TSR_KV_I8_HEAD;
  if ((head || op.kv.format == TSR_KV_I8_CHANNEL) && op.kv_scale == nullptr) {
    refuse("kv_scale is missing for an int8 cache with static scales");
  }
  if (head && (op.q_inv == nullptr || op.thresholds == nullptr)) {
    refuse("q_inv or thresholds is missing for int8 attention");
  }
}

void check_sequence(const Attention& op, int64_t s) {
  const auto refuse_it = [s](const std::string& message) {
    refuse("sequence " + std::to_string(s) + ": " + message);
  };
  const int64_t q_len = int64_t{op.q_starts[s + 1]} - op.q_starts[s];
  const int64_t seq_len = op.seq_lens[s];
  if (op.q_starts[s] < 0 || q_len < 0 || op.q_starts[s + 1] > op.num_tokens) {
    refuse_it("q_starts go from " + std::to_string(op.q_starts[s]) + " to " +
              std::to_string(op.q_starts[s + 1]) + " in a step of " +
              named("num_tokens", op.num_tokens));
  }
  if (q_len == 0) return;
  if (seq_len < q_len) {
    refuse_it(named("seq_len", seq_len) + " is less than " +
              named("q_len", q_len));
  }
  const int64_t num_blocks =
      (seq_len + op.kv.block_size - 1) / op.kv.block_size;
  if (num_blocks > op.max_blocks_per_seq) {
    refuse_it(named("seq_len", seq_len) + " does not fit " +
              named("max_blocks_per_seq", op.max_blocks_per_seq) + " of " +
              named("block_size", op.kv.block_size));
  }
  int64_t first = 0;
  int64_t visible = seq_len;
  if (op.mask == TSR_MASK_SLIDING) {
    visible = std::min(seq_len, op.window);
    first = std::max<int64_t>(0, seq_len - q_len + 1 - op.window);
  }
  if (op.kv.format == TSR_KV_I8_HEAD && visible > kMaxIntegerKeys) {
    refuse("sequence " + std::to_string(s) + ": " + std::to_string(visible) +
               " visible keys are more than int32 sums hold, " +
               std::to_string(kMaxIntegerKeys),
           TSR_UNIMPLEMENTED);
  }
  const int32_t* table = op.block_table + s * op.max_blocks_per_seq;
  for (int64_t b = first / op.kv.block_size; b < num_blocks; ++b) {
    if (table[b] < 0 || table[b] >= op.kv.num_blocks) {
      refuse_it("block " + std::to_string(table[b]) + " at " +
                std::to_string(b) + " of its table is not in the pool of " +
                std::to_string(op.kv.num_blocks));
    }
  }
}

}  // namespace

void check_attention(const Attention& op) {
  check_heads(op.num_q_heads, op.kv.num_kv_heads, op.kv.head_dim);
  check_tensors(op);
  for (int64_t s = 0; s < op.num_seqs; ++s) check_sequence(op, s);
}

void check_limits(const AttentionLimits& limits) {
  check_heads(limits.num_q_heads, limits.num_kv_heads, limits.head_dim);
  if (limits.max_seqs <= 0 || limits.max_tokens <= 0 ||
      limits.num_threads == 0) {
    refuse(named("max_seqs", limits.max_seqs) + " " +
           named("max_tokens", limits.max_tokens) + " " +
           named("num_threads", limits.num_threads) + ": none may be 0");
  }
}

void check_workspace(const AttentionWorkspace& workspace, int64_t bytes) {
  if (reinterpret_cast<uintptr_t>(workspace.data) % 64 != 0) {
    refuse("the workspace is not aligned to 64 bytes");
  }
  if (static_cast<int64_t>(workspace.bytes) < bytes) {
    refuse("a workspace of " + std::to_string(workspace.bytes) +
           " bytes is less than " + std::to_string(bytes));
  }
}

}  // namespace tessera::cpu
