// SPDX-License-Identifier: Apache-2.0
//
// The vector instructions of rows that come to UB in parts.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Requires  one of kRowMaximum .. kSoftmaxPart
// Errors    throws sdk::Error INTERNAL if an operand leaves UB;
//           INVALID_ARGUMENT if `gm` lacks weights of a norm
void run_row_part(const Instruction& one, std::vector<uint8_t>& ub,
                  const Memory& gm);

}  // namespace tessera::npu
