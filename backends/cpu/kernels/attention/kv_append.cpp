// SPDX-License-Identifier: Apache-2.0
//
// Checks kv_append and shares its tokens out to the threads.

#include "backends/cpu/kernels/attention/kv_append.hpp"

#include <algorithm>
#include <string>

#include "backends/cpu/kernels/attention/kernel_functions.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

// Enough work to be worth a thread's while.
constexpr int64_t kElementsPerTask = 16384;
constexpr int64_t kMaxHeadDim = 4096;

[[noreturn]] void refuse(const std::string& message) {
  throw sdk::Error(TSR_INVALID_ARGUMENT, "kv_append: " + message);
}

std::string named(const char* name, int64_t value) {
  return std::string(name) + "=" + std::to_string(value);
}

void check_rows(const char* name, const ConstRows& rows, int64_t row) {
  if (rows.dtype != TSR_F32 && rows.dtype != TSR_F16 &&
      rows.dtype != TSR_BF16) {
    refuse(std::string(name) + " has " + named("dtype", rows.dtype) +
           ", not f32, f16 or bf16");
  }
  if (rows.row_stride < row) {
    refuse(named("row_stride", rows.row_stride) + " of " + name +
           " is less than a row of " + std::to_string(row));
  }
}

void check_rotation(const KvAppend& op) {
  if (op.style == TSR_ROPE_NONE) return;
  if (op.style > TSR_ROPE_INTERLEAVED) {
    refuse("unknown style " + std::to_string(op.style));
  }
  if (op.rotary_dim < 0 || op.rotary_dim % 2 != 0 ||
      op.rotary_dim > op.kv.head_dim) {
    refuse(named("rotary_dim", op.rotary_dim) +
           " is not an even number up to " + named("head_dim", op.kv.head_dim));
  }
  for (int64_t t = 0; t < op.num_tokens; ++t) {
    if (op.positions[t] < 0 || op.positions[t] >= op.max_positions) {
      refuse("position " + std::to_string(op.positions[t]) + " of token " +
             std::to_string(t) + " is not in the table of " +
             std::to_string(op.max_positions) + " rows");
    }
  }
}

void check(const KvAppend& op) {
  if (op.kv.head_dim > kMaxHeadDim) {
    refuse(named("head_dim", op.kv.head_dim) + " is more than " +
           std::to_string(kMaxHeadDim));
  }
  if (op.num_tokens < 0) refuse(named("num_tokens", op.num_tokens));
  const int64_t row = op.kv.num_kv_heads * op.kv.head_dim;
  check_rows("k", op.k, row);
  check_rows("v", op.v, row);
  check_rotation(op);
  const bool is_static =
      op.kv.format == TSR_KV_I8_CHANNEL || op.kv.format == TSR_KV_I8_HEAD;
  if (is_static && op.kv_inv == nullptr) {
    refuse("kv_inv is missing for an int8 cache with static scales");
  }
  const int64_t num_slots = op.kv.num_blocks * op.kv.block_size;
  for (int64_t t = 0; t < op.num_tokens; ++t) {
    if (op.slot_mapping[t] >= num_slots) {
      refuse("slot " + std::to_string(op.slot_mapping[t]) + " of token " +
             std::to_string(t) + " is not in the pool of " +
             std::to_string(num_slots));
    }
  }
}

}  // namespace

void run_kv_append(const KvAppendKernel& kernel, const KvAppend& op,
                   const Parallel& parallel) {
  check(op);
  struct Work {
    const KvAppend* op;
    const KvAppendKernel* kernel;
    int64_t tokens_per_task;
  };
  const int64_t row = 2 * op.kv.num_kv_heads * op.kv.head_dim;
  Work work{&op, &kernel, std::max<int64_t>(1, kElementsPerTask / row)};
  const int64_t num_tasks =
      (op.num_tokens + work.tokens_per_task - 1) / work.tokens_per_task;
  if (num_tasks <= 1) return kernel.run(op, 0, op.num_tokens);

  const auto task = [](void* context, uint32_t index) {
    const Work& w = *static_cast<const Work*>(context);
    const int64_t begin = index * w.tokens_per_task;
    const int64_t end = std::min(begin + w.tokens_per_task, w.op->num_tokens);
    w.kernel->run(*w.op, begin, end);
  };
  parallel.run(parallel.context, static_cast<uint32_t>(num_tasks), task, &work);
}

// Best first.
std::span<const KvAppendKernel> kv_append_kernels() {
  static const KvAppendKernel rows[] = {
      {"kv_append__avx512", Isa::kAvx512, kv_append_avx512()},
      {"kv_append__avx2", Isa::kAvx2, kv_append_avx2()},
      {"kv_append__scalar", Isa::kScalar, kv_append_scalar()},
  };
  return rows;
}

void kv_append(const KvAppend& op, const Exec& exec) {
  const auto rows = kv_append_kernels();
  const auto best = std::find_if(
      rows.begin(), rows.end(),
      [&](const KvAppendKernel& row) { return row.isa <= exec.isa; });
  run_kv_append(*best, op, *exec.parallel);
}

}  // namespace tessera::cpu
