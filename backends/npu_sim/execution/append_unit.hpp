// SPDX-License-Identifier: Apache-2.0
//
// The vector instruction that makes columns of the KV cache.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Requires  kAppendHeads
// Errors    throws sdk::Error INTERNAL if an operand leaves UB;
//           INVALID_ARGUMENT if `gm` lacks a position or a scale
void run_append_vector(const Instruction& one, std::vector<uint8_t>& ub,
                       const Memory& gm);

}  // namespace tessera::npu
