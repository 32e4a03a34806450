// SPDX-License-Identifier: Apache-2.0
//
// The vector instructions of the model's small ops.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

// Requires  one of kSiluMul, kGelu, kRmsNorm, kLayerNorm, kSoftmaxRows,
//           kRotate.
// Errors    throws sdk::Error INTERNAL if an operand leaves UB;
//           INVALID_ARGUMENT if `gm` lacks weights of a norm, or positions
void run_row_vector(const Instruction& one, std::vector<uint8_t>& ub,
                    const Memory& gm);

// Turns a head of `token`, in place.
//
// Errors    throws sdk::Error INVALID_ARGUMENT for a token without a position
void rotate_by_position(const RowFacts& facts, size_t token, float* head);

}  // namespace tessera::npu
