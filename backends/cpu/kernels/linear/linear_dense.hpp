// SPDX-License-Identifier: Apache-2.0
//
// Many rows times a weight through oneDNN, where that is faster than our own
// kernels: dense floats, and s8 per channel with s8 or u8 activations.

#pragma once

#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/linear_workspace.hpp"

namespace tessera::cpu {

// Computes y and returns true; or returns false, with y untouched, if oneDNN is
// not there, or not the way to go for these types and so few rows.
//
// Errors  throws Error INTERNAL if oneDNN fails
bool run_dense(const LinearWeight& weight, const Linear& op,
               const Workspace& workspace, const Exec& exec);

// "linear_bf16_bf16__onednn"; for shapes that wants_dense accepts.
const char* dense_kernel_name(const WeightShape& shape);

// True if run_dense would take an op of these types.
bool wants_dense(const WeightShape& shape, const Linear& op, const Exec& exec);

}  // namespace tessera::cpu
