// SPDX-License-Identifier: Apache-2.0
//
// Random inputs of the oracle's tests.

#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace tessera::reference {

inline std::vector<float> normal_values(std::mt19937& rng, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

}  // namespace tessera::reference
