// SPDX-License-Identifier: Apache-2.0
//
// The vector instructions of attention: rows with a running maximum and sum.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Requires  kWidenCache, or, of f32, one of kSoftmax, kRescale, kMerge,
//           kDivide.
// Errors    throws sdk::Error INTERNAL if an operand leaves UB
void run_attention_vector(const Instruction& one, std::vector<uint8_t>& ub,
                          const Memory& gm);

}  // namespace tessera::npu
