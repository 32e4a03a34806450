// SPDX-License-Identifier: Apache-2.0
//
// The one f32 matrix product that GPTQ, Hessians and rotations spend their time
// in, for the best vector instructions of this machine.

#pragma once

#include <cstdint>

namespace tessera::quant {

// A row-major matrix whose rows lie `stride` elements apart, or its transpose.
struct MatrixRef {
  const float* data;
  uint64_t stride;
  bool transposed = false;
};

// C[M, N] += alpha * A[M, K] * B[K, N], on the caller's thread.
//
// Shapes    `transposed` operands are stored as [K, M] and [N, K]
// Types     f32, accumulated in f32; the same bits for the same shape on the
//           same ISA
// Requires  C overlaps neither operand
struct DenseProduct {
  uint64_t M;
  uint64_t N;
  uint64_t K;
  float alpha;
  MatrixRef a;
  MatrixRef b;
  float* c;
  uint64_t c_stride;
};
void add_product(const DenseProduct& p);

}  // namespace tessera::quant
