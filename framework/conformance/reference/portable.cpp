// SPDX-License-Identifier: Apache-2.0

#include "framework/conformance/reference/portable.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <vector>

#include "tessera/ops.h"
#include "tessera/portable_math.h"

namespace tessera::reference {
namespace {

// 1 / sqrt(mean(x^2) + eps)
float inverse_root(const float* x, size_t D, float eps) {
  std::vector<float> squares(D);
  for (size_t i = 0; i < D; ++i) squares[i] = x[i] * x[i];
  const float mean = tsr_sum_f32(squares.data(), D) / static_cast<float>(D);
  return tsr_rsqrt_f32(mean + eps);
}

}  // namespace

void portable_rms_norm(const Norm& p, float* y) {
  for (size_t r = 0; r < p.rows; ++r) {
    const float* x = p.x + r * p.D;
    const float factor = inverse_root(x, p.D, p.eps);
    for (size_t i = 0; i < p.D; ++i) {
      const float scaled = x[i] * factor;
      y[r * p.D + i] = scaled * p.weight[i];
    }
  }
}

void portable_layer_norm(const Norm& p, float* y) {
  std::vector<float> d(p.D);
  for (size_t r = 0; r < p.rows; ++r) {
    const float* x = p.x + r * p.D;
    const float mean = tsr_sum_f32(x, p.D) / static_cast<float>(p.D);
    for (size_t i = 0; i < p.D; ++i) d[i] = x[i] - mean;
    const float factor = inverse_root(d.data(), p.D, p.eps);
    for (size_t i = 0; i < p.D; ++i) {
      const float scaled = d[i] * factor;
      const float weighted = scaled * p.weight[i];
      y[r * p.D + i] = p.bias == nullptr ? weighted : weighted + p.bias[i];
    }
  }
}

float portable_exponentials(float* row, size_t D) {
  float top = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < D; ++i) top = std::max(top, row[i]);
  for (size_t i = 0; i < D; ++i) row[i] = tsr_exp_f32(row[i] - top);
  return tsr_sum_f32(row, D);
}

void portable_softmax(const float* x, size_t rows, size_t D, float scale,
                      float* y) {
  for (size_t r = 0; r < rows; ++r) {
    float* row = y + r * D;
    for (size_t i = 0; i < D; ++i) row[i] = x[r * D + i] * scale;
    const float total = portable_exponentials(row, D);
    for (size_t i = 0; i < D; ++i) row[i] = row[i] / total;
  }
}

void portable_silu_mul(const float* a, const float* b, size_t count, float* y) {
  for (size_t i = 0; i < count; ++i) y[i] = tsr_silu_f32(a[i]) * b[i];
}

void portable_gelu(const float* a, size_t count, uint32_t variant, float* y) {
  assert(variant == TSR_EPILOGUE_GELU_ERF || variant == TSR_EPILOGUE_GELU_TANH);
  const bool erf = variant == TSR_EPILOGUE_GELU_ERF;
  for (size_t i = 0; i < count; ++i) {
    y[i] = erf ? tsr_gelu_erf_f32(a[i]) : tsr_gelu_tanh_f32(a[i]);
  }
}

}  // namespace tessera::reference
