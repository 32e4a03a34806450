// SPDX-License-Identifier: Apache-2.0
//
// SOFTMAX over the last dimension, in double or as an
// order says.

#pragma once

#include <cstddef>

#include "framework/conformance/reference/sum_order.hpp"

namespace tessera::reference {

// y = exp(scale * x - m) / sum of the same, m the row's maximum; rounded once
// to Out.
//
// Shapes  x, y [rows, D]
template <typename Out>
void softmax(const float* x, size_t rows, size_t D, float scale, Out* y);

// The same for one row of doubles, in place.
void softmax_row(double* row, size_t D);

// Makes exp(x - m) of a row of doubles, m its maximum, in place; gives their
// sum.
double exponentials(double* row, size_t D, SumOrder order = SumOrder::kDouble);

}  // namespace tessera::reference
