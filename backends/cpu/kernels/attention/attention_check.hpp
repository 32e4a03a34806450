// SPDX-License-Identifier: Apache-2.0
//
// What must hold before attention may touch memory.  Each function throws
// Error, naming the values that clash.

#pragma once

#include "backends/cpu/kernels/attention/attention.hpp"

namespace tessera::cpu {

// INVALID_ARGUMENT or, for fa3 over too many keys, UNIMPLEMENTED.
void check_attention(const Attention& op);

// INVALID_ARGUMENT if a size is 0 or the heads disagree.
void check_limits(const AttentionLimits& limits);

// INVALID_ARGUMENT if `bytes` are more than there are, or if it is unaligned.
void check_workspace(const AttentionWorkspace& workspace, int64_t bytes);

}  // namespace tessera::cpu
