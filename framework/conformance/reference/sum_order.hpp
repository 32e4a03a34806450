// SPDX-License-Identifier: Apache-2.0
//
// The order and precision in which the oracle sums.

#pragma once

#include <cstddef>

namespace tessera::reference {

// The f32 orders round every product and sum; the KL divergence between the
// two is what numerics.md section 4 measures devices with.
enum class SumOrder { kDouble, kF32Ascending, kF32Descending };

// Calls step(i) for i = 0 .. count - 1, or the other way round.
template <typename Step>
void for_each_term(SumOrder order, size_t count, Step step) {
  if (order == SumOrder::kF32Descending) {
    for (size_t i = count; i > 0; --i) step(i - 1);
  } else {
    for (size_t i = 0; i < count; ++i) step(i);
  }
}

// The sum of term(i), each a product that is exact in double.
template <typename Term>
double sum_terms(SumOrder order, size_t count, Term term) {
  if (order == SumOrder::kDouble) {
    double sum = 0.0;
    for (size_t i = 0; i < count; ++i) sum += term(i);
    return sum;
  }
  float sum = 0.0f;
  for_each_term(order, count,
                [&](size_t i) { sum += static_cast<float>(term(i)); });
  return sum;
}

}  // namespace tessera::reference
