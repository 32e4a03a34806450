// SPDX-License-Identifier: Apache-2.0
//
// Many rows times an unquantized weight, through oneDNN where it helps.

#pragma once

#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/linear_workspace.hpp"

namespace tessera::cpu {

// Computes y and returns true, or returns false if oneDNN is not there, is too
// slow for these types, or there are too few rows.
bool runs_dense(const LinearWeight& weight, const Linear& op,
                const LinearRowOps& row_ops, const Workspace& workspace,
                const Parallel& parallel);

}  // namespace tessera::cpu
