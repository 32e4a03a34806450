// SPDX-License-Identifier: Apache-2.0
//
// ADD, SILU_MUL and GELU.  Each output is computed in double and rounded once,
// to Out (float or double).

#pragma once

#include <cstddef>
#include <cstdint>

namespace tessera::reference {

// x / (1 + exp(-x)).
double silu(double x);
// x Phi(x) = x (1 + erf(x / sqrt(2))) / 2.
double gelu_erf(double x);
// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
// Source: Hendrycks and Gimpel, arXiv:1606.08415, section 2.
double gelu_tanh(double x);

// y[i] = a[i] + b[i]
template <typename Out>
void add(const float* a, const float* b, size_t count, Out* y);

// y[i] = silu(a[i]) * b[i]
template <typename Out>
void silu_mul(const float* a, const float* b, size_t count, Out* y);

// y[i] = gelu(a[i]); variant TSR_EPILOGUE_GELU_ERF or TSR_EPILOGUE_GELU_TANH
template <typename Out>
void gelu(const float* a, size_t count, uint32_t variant, Out* y);

}  // namespace tessera::reference
