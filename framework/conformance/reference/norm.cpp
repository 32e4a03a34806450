// SPDX-License-Identifier: Apache-2.0
//
// The two norms, from their formulas.

#include "framework/conformance/reference/norm.hpp"

#include <cmath>

namespace tessera::reference {

template <typename Out>
void rms_norm(const Norm& p, Out* y) {
  const auto D = static_cast<double>(p.D);
  for (size_t row = 0; row < p.rows; ++row) {
    const float* x = p.x + row * p.D;
    const double squares = sum_terms(
        p.sum_order, p.D, [&](size_t i) { return double{x[i]} * x[i]; });
    const double root = std::sqrt(squares / D + p.eps);
    for (size_t i = 0; i < p.D; ++i) {
      y[row * p.D + i] = static_cast<Out>(x[i] / root * p.weight[i]);
    }
  }
}

template <typename Out>
void layer_norm(const Norm& p, Out* y) {
  const auto D = static_cast<double>(p.D);
  for (size_t row = 0; row < p.rows; ++row) {
    const float* x = p.x + row * p.D;
    const double mean =
        sum_terms(p.sum_order, p.D, [&](size_t i) { return double{x[i]}; }) / D;
    const double squares = sum_terms(p.sum_order, p.D, [&](size_t i) {
      return (x[i] - mean) * (x[i] - mean);
    });
    const double root = std::sqrt(squares / D + p.eps);
    for (size_t i = 0; i < p.D; ++i) {
      const double bias = p.bias == nullptr ? 0.0 : p.bias[i];
      y[row * p.D + i] =
          static_cast<Out>((x[i] - mean) / root * p.weight[i] + bias);
    }
  }
}

template void rms_norm(const Norm&, float*);
template void rms_norm(const Norm&, double*);
template void layer_norm(const Norm&, float*);
template void layer_norm(const Norm&, double*);

}  // namespace tessera::reference
