// SPDX-License-Identifier: Apache-2.0
//
// The vector instructions of integer attention (fa3): numerics.md section 2.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Requires  one of kQuantizeHeads, kRowMaxima, kJoinMaxima, kWeightCodes; or,
//           of s32, kRescale, kMerge, kDivide.
// Errors    throws sdk::Error INTERNAL if an operand leaves UB;
//           INVALID_ARGUMENT if `gm` lacks a scale or thresholds of a head
void run_integer_attention_vector(const Instruction& one,
                                  std::vector<uint8_t>& ub, const Memory& gm);

}  // namespace tessera::npu
