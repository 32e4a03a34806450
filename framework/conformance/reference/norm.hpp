// SPDX-License-Identifier: Apache-2.0
//
// RMS_NORM and LAYER_NORM over the last dimension, in double or as sum_order
// says.

#pragma once

#include <cstddef>

#include "framework/conformance/reference/sum_order.hpp"

namespace tessera::reference {

struct Norm {
  size_t rows = 0;
  size_t D = 0;
  const float* x = nullptr;       // [rows, D]
  const float* weight = nullptr;  // [D]
  const float* bias = nullptr;    // [D]; LAYER_NORM only, may be null
  float eps = 0.0f;
  SumOrder sum_order = SumOrder::kDouble;
};

// y = x / sqrt(mean(x^2) + eps) * weight, rounded once to Out.
// Source: Zhang and Sennrich, arXiv:1910.07467, eq. 4.
template <typename Out>
void rms_norm(const Norm& p, Out* y);

// y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, rounded once to Out;
// var is the mean square of x - mean(x).
// Source: Ba et al., arXiv:1607.06450, eq. 3.
template <typename Out>
void layer_norm(const Norm& p, Out* y);

}  // namespace tessera::reference
