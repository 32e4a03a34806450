// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding of one head, shared by the rope op and kv_append.

#pragma once

#include "backends/cpu/kernels/ops/simd_row.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

struct RotateShape {
  int64_t head_dim = 0;
  int64_t rotary_dim = 0;  // the first so many elements are rotated
  uint32_t style = 0;      // TSR_ROPE_*
};

// y = x with pair i of the first rotary_dim elements turned by the angle whose
// cosine is row[i] and sine is row[rotary_dim / 2 + i]; see tsr_rotate_f32.
template <typename V>
void rotate_head(const SimdRow<V>& x, const SimdRowOut<V>& y, const float* row,
                 const RotateShape& shape) {
  const int64_t half = shape.rotary_dim / 2;
  const float* cosine = row;
  const float* sine = row + half;
  if (shape.style == TSR_ROPE_HALF) {
    for (int64_t i = 0; i < half; i += V::kLanes) {
      const int n =
          static_cast<int>(half - i < V::kLanes ? half - i : V::kLanes);
      const auto c = V::template load_n<TSR_F32>(cosine, i, n);
      const auto s = V::template load_n<TSR_F32>(sine, i, n);
      const auto x0 = x.load(i, n);
      const auto x1 = x.load(half + i, n);
      y.store(i, n, V::sub(V::mul(x0, c), V::mul(x1, s)));
      y.store(half + i, n, V::add(V::mul(x1, c), V::mul(x0, s)));
    }
  } else {
    for (int64_t i = 0; i < half; ++i) {
      float y0 = 0.0f;
      float y1 = 0.0f;
      tsr_rotate_f32(x.load_one(2 * i), x.load_one(2 * i + 1), cosine[i],
                     sine[i], &y0, &y1);
      y.store_one(2 * i, y0);
      y.store_one(2 * i + 1, y1);
    }
  }
  for (int64_t i = 2 * half; i < shape.head_dim; i += V::kLanes) {
    const int64_t rest = shape.head_dim - i;
    const int n = static_cast<int>(rest < V::kLanes ? rest : V::kLanes);
    y.store(i, n, x.load(i, n));
  }
}

}  // namespace tessera::cpu
