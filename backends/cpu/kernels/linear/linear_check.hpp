// SPDX-License-Identifier: Apache-2.0
//
// What a linear op must satisfy before it runs.

#pragma once

#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

// Throws Error INVALID_ARGUMENT, naming what clashes.
void check_linear(const LinearWeight& weight, const Linear& op);

// True if an integer sum is scaled by one product per row and column.
inline bool is_per_channel(const WeightShape& shape) {
  return shape.num_groups == 1 && !shape.has_scale2;
}

// Fills what follows the sums, for outputs from row m and column n on.
void apply_epilogue(const Linear& op, int64_t m, int64_t n, Finish& work);

}  // namespace tessera::cpu
