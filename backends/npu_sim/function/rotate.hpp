// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding of one head, shared by rope and kv_append.

#pragma once

#include <cstdint>

#include "tessera/ops.h"
#include "tessera/portable_math.h"

namespace tessera::npu {

// Turns pair i of the first rotary_dim elements of `head` by the angle whose
// cosine is row[i] and sine is row[rotary_dim / 2 + i].
inline void rotate_head(uint32_t style, int64_t rotary_dim, const float* row,
                        float* head) {
  const int64_t half = rotary_dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    const int64_t a = style == TSR_ROPE_HALF ? i : 2 * i;
    const int64_t b = style == TSR_ROPE_HALF ? half + i : 2 * i + 1;
    tsr_rotate_f32(head[a], head[b], row[i], row[half + i], &head[a], &head[b]);
  }
}

}  // namespace tessera::npu
