// SPDX-License-Identifier: Apache-2.0
//
// The rows of the attention table that tests run: those of this machine, and
// those of AMX on tiles in plain C++ where it has none.

#pragma once

#include <vector>

#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/attention/kernel_functions.hpp"

namespace tessera::cpu {

// The functions of attention_amx_bf16 and attention_amx_int8 on such tiles.
AttentionFunctions emulated_bf16(uint32_t kv_format);
AttentionFunctions emulated_int8();

// Best first within a format.
const std::vector<AttentionKernel>& runnable_kernels();

}  // namespace tessera::cpu
