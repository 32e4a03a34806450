// SPDX-License-Identifier: Apache-2.0
//
// The add kernel.  Kernels know pointers and shapes, nothing of the ABI.

#pragma once

#include <cstdint>

namespace my {

// Rows of `cols` elements; row r of a tensor starts at r * its stride.
struct Add {
  uint64_t rows;
  uint64_t cols;
  const float* a;
  uint64_t a_stride;
  const float* b;
  uint64_t b_stride;
  float* y;
  uint64_t y_stride;
};

// y = a + b, element by element; y may be a or b.
void add_f32(const Add& p);

}  // namespace my
