// SPDX-License-Identifier: Apache-2.0
//
// The loops in which the time of the fast path goes, for the instruction set of
// this machine.  Every set gives the same bits.

#pragma once

#include <cstdint>

namespace tessera::npu {

// Columns of a tile of float weights, and rows of x that one call takes.
constexpr int64_t kTileColumns = 16;
constexpr int64_t kMaxRows = 4;

struct InnerLoops {
  const char* name;

  // acc[r][j] = sum over k of x[r][k] * w[k][j], from acc, k ascending; each
  // product exact, each sum rounded to f32.
  //
  // Shapes    x [rows, K] with x_stride, w [K, 16] as bits, acc [rows, 16]
  // Requires  1 <= rows <= 4; every x is a value of w's type
  void (*f16_tile)(const float* x, int64_t x_stride, int64_t rows,
                   const uint16_t* w, int64_t K, float* acc);
  void (*bf16_tile)(const float* x, int64_t x_stride, int64_t rows,
                    const uint16_t* w, int64_t K, float* acc);

  // out[r] = sum over k of x[r][k] * w[k], exact.
  //
  // Requires  1 <= rows <= 4; the sums fit
  void (*dot_i16)(const int16_t* x, int64_t x_stride, int64_t rows,
                  const int16_t* w, int64_t K, int32_t* out);

  // acc[i] = fma(x, row[i], acc[i]).
  void (*add_scaled)(float x, const float* row, int64_t n, float* acc);
};

// The widest set that this processor has.
const InnerLoops& inner_loops();

// Each set, for tests; null where this build or processor has it not.
const InnerLoops* portable_loops();
const InnerLoops* avx2_loops();

}  // namespace tessera::npu
