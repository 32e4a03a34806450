// SPDX-License-Identifier: Apache-2.0
//
// The integer modes of linear, which linear.cpp dispatches to.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/linear/linear.hpp"

namespace tessera::reference {

// True for act_quant I8_DYNAMIC, I8_STATIC, U8_STATIC, I8_MIX and I4_DYNAMIC.
bool is_integer_mode(uint32_t act_quant);

// Errors  INVALID_ARGUMENT if activations, format and K do not go together.
Status check_linear_integer(const Linear& p);

// As linear and linear_accumulators.
// Requires: check_linear(p)
Status linear_integer(const Linear& p, float* y);
Status integer_accumulators(const Linear& p, int32_t* acc);

}  // namespace tessera::reference
