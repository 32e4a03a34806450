// SPDX-License-Identifier: Apache-2.0
//
// The small functions of a transformer, from their formulas.

#include "framework/conformance/reference/elementwise.hpp"

#include <cassert>
#include <cmath>
#include <numbers>

#include "tessera/ops.h"

namespace tessera::reference {

double silu(double x) { return x / (1.0 + std::exp(-x)); }

// erfc keeps the digits that 1 + erf loses for negative x.
double gelu_erf(double x) {
  return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

// (1 + tanh(t)) / 2 = 1 / (1 + exp(-2 t)), without the cancellation.
double gelu_tanh(double x) {
  const double root = std::sqrt(2.0 / std::numbers::pi);
  const double t = root * (x + 0.044715 * x * x * x);
  return x / (1.0 + std::exp(-2.0 * t));
}

template <typename Out>
void add(const float* a, const float* b, size_t count, Out* y) {
  for (size_t i = 0; i < count; ++i) {
    y[i] = static_cast<Out>(double{a[i]} + double{b[i]});
  }
}

template <typename Out>
void silu_mul(const float* a, const float* b, size_t count, Out* y) {
  for (size_t i = 0; i < count; ++i) {
    y[i] = static_cast<Out>(silu(double{a[i]}) * double{b[i]});
  }
}

template <typename Out>
void gelu(const float* a, size_t count, uint32_t variant, Out* y) {
  assert(variant == TSR_EPILOGUE_GELU_ERF || variant == TSR_EPILOGUE_GELU_TANH);
  const bool erf = variant == TSR_EPILOGUE_GELU_ERF;
  for (size_t i = 0; i < count; ++i) {
    const double x = a[i];
    y[i] = static_cast<Out>(erf ? gelu_erf(x) : gelu_tanh(x));
  }
}

template void add(const float*, const float*, size_t, float*);
template void add(const float*, const float*, size_t, double*);
template void silu_mul(const float*, const float*, size_t, float*);
template void silu_mul(const float*, const float*, size_t, double*);
template void gelu(const float*, size_t, uint32_t, float*);
template void gelu(const float*, size_t, uint32_t, double*);

}  // namespace tessera::reference
