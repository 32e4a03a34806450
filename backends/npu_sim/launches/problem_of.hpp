// SPDX-License-Identifier: Apache-2.0
//
// What the machine model is asked for an op of a program.

#pragma once

#include <cstdint>

#include "backends/npu_sim/problem/problem.hpp"
#include "tessera/op_facts.hpp"

namespace tessera::npu {

// What facts do not say of a linear.
struct LinearStep {
  int64_t M = 0;
  bool is_decode = false;  // I8_MIX: every token is in the decode phase
  uint32_t x_dtype = 0;
};

Gemm gemm_of(const sdk::OpFacts& facts, const LinearStep& step);

Type type_of(uint32_t dtype);
KvType kv_type_of(uint32_t kv_format);
SmallKind small_kind_of(uint32_t op_kind);

}  // namespace tessera::npu
