// SPDX-License-Identifier: Apache-2.0
//
// Integer sums over any weight that has integers.

#include <algorithm>

#include "backends/cpu/kernels/linear/decode.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

void integer_any_scalar(const IntegerWork& work) {
  const WeightShape& shape = work.weight->shape;
  const int64_t begin = work.group * shape.group_size;
  const int64_t end = std::min(begin + shape.group_size, shape.K);
  int16_t w[kDecodeColumns];
  for (int64_t j = 0; j < work.num_cols; ++j) {
    const int64_t n = work.n_begin + j;
    for (int64_t m = 0; m < work.M && !work.adds; ++m) {
      work.sums[m * kChunkCols + j] = 0;
    }
    if (n >= shape.N) continue;
    for (int64_t k = begin; k < end; k += kDecodeColumns) {
      const int64_t depth = std::min(kDecodeColumns, end - k);
      integer_row(*work.weight, n, k, k + depth, w);
      for (int64_t m = 0; m < work.M; ++m) {
        const uint8_t* x = work.x + m * work.x_stride + k;
        const int32_t zero = work.x_zeros[m];
        int32_t sum = 0;
        for (int64_t i = 0; i < depth; ++i) sum += (x[i] - zero) * w[i];
        work.sums[m * kChunkCols + j] += sum;
      }
    }
  }
}

}  // namespace tessera::cpu
