// SPDX-License-Identifier: Apache-2.0

#include "kernels/add.hpp"

namespace my {

void add_f32(const Add& p) {
  for (uint64_t row = 0; row < p.rows; ++row) {
    const float* a = p.a + row * p.a_stride;
    const float* b = p.b + row * p.b_stride;
    float* y = p.y + row * p.y_stride;
    for (uint64_t col = 0; col < p.cols; ++col) y[col] = a[col] + b[col];
  }
}

}  // namespace my
