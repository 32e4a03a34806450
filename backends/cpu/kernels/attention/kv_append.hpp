// SPDX-License-Identifier: Apache-2.0
//
// kv_append as a function of pointers and shapes.

#pragma once

#include <cstdint>
#include <span>

#include "backends/cpu/kernels/attention/kv_layout.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

// One kv_append op of one step; the contract is that of tsr_op_kv_append.
struct KvAppend {
  int64_t num_tokens = 0;
  ConstRows k;  // [num_tokens, num_kv_heads * head_dim]
  ConstRows v;

  KvLayout kv;
  std::byte* pool = nullptr;
  const int32_t* slot_mapping = nullptr;  // [num_tokens]; no slot twice

  uint32_t style = TSR_ROPE_NONE;
  int64_t rotary_dim = 0;
  const int32_t* positions = nullptr;  // [num_tokens]
  const float* table = nullptr;        // [max_positions, rotary_dim]
  int64_t max_positions = 0;

  const float* kv_inv = nullptr;  // I8_CHANNEL [2, num_kv_heads, head_dim],
                                  // I8_HEAD [2, num_kv_heads]
};

// Rotates k, converts k and v to the pool's type and stores them.  The bits do
// not depend on ISA or threads: rotation as tsr_rotate_f32, codes as
// numerics.md section 1.
//
// I8_TOKEN: a head with a NaN or an infinity is stored so that it reads as NaN.
//
// Errors   throws Error INVALID_ARGUMENT, the pool untouched, if types, sizes,
//          slots or positions make no sense
void kv_append(const KvAppend& op, const Exec& exec);

struct KvAppendKernel {
  const char* name;
  Isa isa;
  void (*run)(const KvAppend& op, int64_t token_begin, int64_t token_end);
};

// All rows, best first.
std::span<const KvAppendKernel> kv_append_kernels();

// Checks `op`, then runs one kernel over all tokens.
void run_kv_append(const KvAppendKernel& kernel, const KvAppend& op,
                   const Parallel& parallel);

}  // namespace tessera::cpu
