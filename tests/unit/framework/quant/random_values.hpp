// SPDX-License-Identifier: Apache-2.0
//
// Seeded inputs for tests of quant.

#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace tessera::quant {

inline std::vector<float> normal_values(size_t count, uint32_t seed = 42) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

// X[M, K] whose columns are correlated and of very different size, as the
// inputs of real linears are: each row mixes K / 4 normal factors.
inline std::vector<float> correlated_rows(uint32_t M, uint32_t K,
                                          uint32_t seed = 42) {
  const uint32_t rank = K / 4 + 1;
  const std::vector<float> mix = normal_values(size_t{rank} * K, seed);
  const std::vector<float> factors = normal_values(size_t{M} * rank, seed + 1);
  const std::vector<float> noise = normal_values(size_t{M} * K, seed + 2);
  std::vector<float> rows(size_t{M} * K);
  for (uint32_t m = 0; m < M; ++m) {
    for (uint32_t k = 0; k < K; ++k) {
      float sum = 0.3f * noise[size_t{m} * K + k];
      for (uint32_t r = 0; r < rank; ++r) {
        sum += factors[size_t{m} * rank + r] * mix[size_t{r} * K + k];
      }
      rows[size_t{m} * K + k] =
          sum * (0.1f + 3.0f * static_cast<float>(k % 7 == 0));
    }
  }
  return rows;
}

}  // namespace tessera::quant
