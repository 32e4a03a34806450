// SPDX-License-Identifier: Apache-2.0
//
// ROPE: rotary position embedding from a table of cosines and sines.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

// Rotates the first rotary_dim elements of each head by its token's position,
// pair i by the angle whose cosine is table[position, i] and whose sine is
// table[position, rotary_dim / 2 + i]; the others pass unchanged.
//
// Shapes  x, y [num_tokens, num_heads, head_dim]; may be the same memory
//         positions [num_tokens]; table [max_positions, rotary_dim]
// Errors  INVALID_ARGUMENT for an unknown style, a rotary_dim that is odd or
//         larger than head_dim, or a position outside the table
// Source  Su et al., arXiv:2104.09864, section 3.2.2
struct Rope {
  uint32_t num_tokens = 0;
  uint32_t num_heads = 0;
  uint32_t head_dim = 0;
  const float* x = nullptr;
  const int32_t* positions = nullptr;
  const float* table = nullptr;
  uint32_t max_positions = 0;
  uint32_t style = TSR_ROPE_HALF;  // TSR_ROPE_*; NONE copies
  uint32_t rotary_dim = 0;
};

// Products and sums in double, rounded once to Out.
template <typename Out>
Status rope(const Rope& p, Out* y);

// Every product and sum rounded to f32: what kv_append stores, bit for bit.
Status rope_f32(const Rope& p, float* y);

}  // namespace tessera::reference
