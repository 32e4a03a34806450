// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction: the products of f16 are exact in f32, those
// of bf16 as well unless they leave its range, hence the fma there.

#include "backends/npu_sim/function/inner_loops.hpp"

#include <cmath>

#include "backends/npu_sim/function/half.hpp"

namespace tessera::npu {
namespace {

void f16_tile(const float* x, int64_t x_stride, int64_t rows, const uint16_t* w,
              int64_t K, float* acc) {
  for (int64_t k = 0; k < K; ++k) {
    float column[kTileColumns];
    for (int64_t j = 0; j < kTileColumns; ++j) {
      column[j] = f32_from_f16(w[k * kTileColumns + j]);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const float value = x[r * x_stride + k];
      float* sums = acc + r * kTileColumns;
      for (int64_t j = 0; j < kTileColumns; ++j) sums[j] += value * column[j];
    }
  }
}

void bf16_tile(const float* x, int64_t x_stride, int64_t rows,
               const uint16_t* w, int64_t K, float* acc) {
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < kTileColumns; ++j) {
        float& sum = acc[r * kTileColumns + j];
        sum = std::fma(x[r * x_stride + k],
                       f32_from_bf16(w[k * kTileColumns + j]), sum);
      }
    }
  }
}

void dot_i16(const int16_t* x, int64_t x_stride, int64_t rows, const int16_t* w,
             int64_t K, int32_t* out) {
  for (int64_t r = 0; r < rows; ++r) {
    int32_t sum = 0;
    for (int64_t k = 0; k < K; ++k) sum += x[r * x_stride + k] * w[k];
    out[r] = sum;
  }
}

void add_scaled(float x, const float* row, int64_t n, float* acc) {
  for (int64_t i = 0; i < n; ++i) acc[i] = std::fma(x, row[i], acc[i]);
}

}  // namespace

const InnerLoops* portable_loops() {
  static constexpr InnerLoops kLoops{"portable", f16_tile, bf16_tile, dot_i16,
                                     add_scaled};
  return &kLoops;
}

const InnerLoops& inner_loops() {
  const InnerLoops* wide = avx2_loops();
  return wide == nullptr ? *portable_loops() : *wide;
}

}  // namespace tessera::npu
