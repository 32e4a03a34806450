// SPDX-License-Identifier: Apache-2.0
//
// What vector instructions do to UB.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Returns why the instruction cannot be carried out; empty if it was.
//
// Errors  throws sdk::Error INVALID_ARGUMENT if `gm` lacks a scale it needs;
//         INTERNAL if an operand leaves UB
std::string run_vector(const Instruction& one, std::vector<uint8_t>& ub,
                       const Memory& gm);

}  // namespace tessera::npu
