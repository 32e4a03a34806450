// SPDX-License-Identifier: Apache-2.0
//
// Softmax with the maximum taken out, so that no exponential overflows.

#include "framework/conformance/reference/attention/softmax.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tessera::reference {

double exponentials(double* row, size_t D, SumOrder order) {
  const double max = *std::max_element(row, row + D);
  for (size_t i = 0; i < D; ++i) row[i] = std::exp(row[i] - max);
  return sum_terms(order, D, [&](size_t i) { return row[i]; });
}

void softmax_row(double* row, size_t D) {
  const double sum = exponentials(row, D);
  for (size_t i = 0; i < D; ++i) row[i] /= sum;
}

template <typename Out>
void softmax(const float* x, size_t rows, size_t D, float scale, Out* y) {
  std::vector<double> row(D);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < D; ++i) row[i] = double{scale} * x[r * D + i];
    softmax_row(row.data(), D);
    for (size_t i = 0; i < D; ++i) y[r * D + i] = static_cast<Out>(row[i]);
  }
}

template void softmax(const float*, size_t, size_t, float, float*);
template void softmax(const float*, size_t, size_t, float, double*);

}  // namespace tessera::reference
