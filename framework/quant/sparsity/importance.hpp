// SPDX-License-Identifier: Apache-2.0
//
// Which weights of a linear matter most.  All three metrics order weights by
// |w| times a factor per column, so that a metric is K numbers.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/quant/activations/input_statistics.hpp"
#include "framework/quant/weights/gptq.hpp"

namespace tessera::quant {

enum class Importance {
  kMagnitude,  // |w|
  kWanda,      // |w| * ||x_k||_2
  kSparseGpt,  // w^2 / [H^-1]_kk^2
};

// Per column k, so that the metric orders weights as |w[n, k]| * factor[k].
// What a metric does not read may be null.
//
// Shapes  result [K]
// Errors  INVALID_ARGUMENT if K is 0, or differs from that of the statistics;
//         FAILED_PRECONDITION, naming the metric, if what it reads is missing
// Source  Wanda: Sun et al., arXiv:2306.11695, equation 1; SparseGPT: Frantar
//         and Alistarh, arXiv:2301.00774, equation 3, with H^-1 of all columns
//         where theirs is of the columns not yet pruned
Result<std::vector<float>> importance_factors(Importance metric, uint32_t K,
                                              const ColumnStatistics* columns,
                                              const GptqFactor* factor);

// 1 for each of the `count` weights [N, K] of greatest (least) importance, 0
// for the others.  Of equally important ones those first in memory are marked.
//
// Requires  factors [K] with K dividing the number of values; count at most
//           that; values finite, factors finite and >= 0
std::vector<uint8_t> mark_most_important(std::span<const float> values,
                                         std::span<const float> factors,
                                         uint64_t count);
std::vector<uint8_t> mark_least_important(std::span<const float> values,
                                          std::span<const float> factors,
                                          uint64_t count);

}  // namespace tessera::quant
