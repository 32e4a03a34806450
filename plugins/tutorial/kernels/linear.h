// SPDX-License-Identifier: Apache-2.0
//
// Y[M, N] = X[M, K] . W[N, K]^T * scale[N] + bias[N] on the host's threads.

#ifndef KERNELS_LINEAR_H
#define KERNELS_LINEAR_H

#include "tessera/plugin.h"

typedef struct linear {
  uint64_t M;
  uint32_t N;
  uint32_t K;
  const float* x;
  uint64_t x_stride;  // elements from row to row
  const char* codes;  // [N, K], f32 or s8
  uint64_t codes_row_bytes;
  uint32_t weight_format;  // TSR_WEIGHT_F32 or TSR_WEIGHT_I8
  const char* scales;      // f32 [N]; NULL for f32 weights
  uint64_t scales_row_bytes;
  const float* bias;  // [N]; NULL: none
  float* y;
  uint64_t y_stride;
} linear;

// Returns when y is written.
void run_linear(const tsr_host_services* host, const linear* op);

#endif  // KERNELS_LINEAR_H
