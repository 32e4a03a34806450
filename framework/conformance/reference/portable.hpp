// SPDX-License-Identifier: Apache-2.0
//
// The small ops as devices that promise the portable variant compute them: the
// functions and the sums of tessera/portable_math.h, every step rounded to f32.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/conformance/reference/norm.hpp"

namespace tessera::reference {

// y = (x * rsqrt(mean(x^2) + eps)) * weight; `sum_order` is not used.
void portable_rms_norm(const Norm& p, float* y);

// d = x - mean(x); y = (d * rsqrt(mean(d^2) + eps)) * weight + bias, the bias
// only where there is one.
void portable_layer_norm(const Norm& p, float* y);

// e = exp(scale * x - m), m the largest scale * x of the row; y = e / sum of e.
//
// Shapes  x, y [rows, D]
void portable_softmax(const float* x, size_t rows, size_t D, float scale,
                      float* y);

// Makes exp(x - m) of a row of f32 values, m its maximum, in place; gives their
// sum.
float portable_exponentials(float* row, size_t D);

// y[i] = silu(a[i]) * b[i]
void portable_silu_mul(const float* a, const float* b, size_t count, float* y);

// y[i] = gelu(a[i]); variant TSR_EPILOGUE_GELU_ERF or TSR_EPILOGUE_GELU_TANH
void portable_gelu(const float* a, size_t count, uint32_t variant, float* y);

}  // namespace tessera::reference
