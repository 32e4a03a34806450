// SPDX-License-Identifier: Apache-2.0
//
// KV_APPEND: rotates K, converts K and V to the pool's type and stores them.

#pragma once

#include <cstdint>

#include "backends/npu_sim/function/attention/kv_pool.hpp"
#include "backends/npu_sim/function/parallel.hpp"
#include "backends/npu_sim/function/rows.hpp"

namespace tessera::npu {

struct KvAppend {
  int64_t num_tokens = 0;
  ConstRows k;  // [num_tokens, num_kv_heads * head_dim], like v
  ConstRows v;
  KvPool pool;
  const int32_t* slot_mapping = nullptr;  // negative: not stored
  uint32_t style = 0;                     // TSR_ROPE_*
  int64_t rotary_dim = 0;
  const int32_t* positions = nullptr;
  const float* table = nullptr;
  int64_t max_positions = 0;
  const float* kv_inv = nullptr;  // static I8 formats
};

// Bit for bit as ops.h says; see also the oracle.
//
// Errors   throws sdk::Error INVALID_ARGUMENT for a slot outside the pool, a
//          position outside the table, or a missing kv_inv
void kv_append(const KvAppend& op, const Parallel& parallel);

}  // namespace tessera::npu
