// SPDX-License-Identifier: Apache-2.0
//
// What a linear does after its sums, on the vector unit: numerics.md section 1,
// "epilogue order".

#pragma once

#include <cstdint>

#include "backends/npu_sim/function/linear/linear.hpp"

namespace tessera::npu {

// Applies the epilogue to columns n .. n + count - 1 of row m and stores them.
// Requires: count <= 16.
void finish_columns(const Linear& op, int64_t m, int64_t n, int64_t count,
                    float* values);

// Raw accumulators, which y = I32 asks for.
void store_accumulators(const Linear& op, int64_t m, int64_t n, int64_t count,
                        const int32_t* values);

// Errors   throws sdk::Error INVALID_ARGUMENT for columns outside N, or an
//          activation that is not known
void check_linear(const Linear& op, int64_t N);

}  // namespace tessera::npu
