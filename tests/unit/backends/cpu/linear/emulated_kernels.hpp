// SPDX-License-Identifier: Apache-2.0
//
// The kernels of AMX on tiles in plain C++.

#pragma once

#include <vector>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

// Needs Isa::kAvx512Bf16 for the rest of their steps.
AmxKernelSet emulated_kernels();

// linear_kernels() with these in place of those that need the registers.
std::vector<LinearKernel> emulated_table();

}  // namespace tessera::cpu
