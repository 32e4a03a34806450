// SPDX-License-Identifier: Apache-2.0
//
// The input row of a linear as its weight's columns see it.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/function/linear/weight.hpp"
#include "backends/npu_sim/function/rows.hpp"

namespace tessera::npu {

// Row m of x times INPUT_MULTIPLIER (rounded to f32), then PERMUTATION.
// `buffer` is used between.
inline void read_input(const InputRules& rules, const ConstRows& x, int64_t m,
                       int64_t K, std::vector<float>& buffer, float* out_row) {
  if (rules.permutation.empty() && rules.multiplier.empty()) {
    load_row(x, m, 0, K, out_row);
    return;
  }
  buffer.resize(static_cast<size_t>(K));
  load_row(x, m, 0, K, buffer.data());
  if (!rules.multiplier.empty()) {
    for (size_t k = 0; k < buffer.size(); ++k) buffer[k] *= rules.multiplier[k];
  }
  for (size_t k = 0; k < buffer.size(); ++k) {
    out_row[k] = rules.permutation.empty()
                     ? buffer[k]
                     : buffer[static_cast<size_t>(rules.permutation[k])];
  }
}

}  // namespace tessera::npu
