// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/drift.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/base/ranks.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kFewest = 10;
constexpr double kQuantile = 2.3263;  // of a normal law, at 99 %

// Squared steps between neighbouring ranks over their squared distances from
// the mean: about 2 without memory, and of equal samples.
double von_neumann_ratio(std::span<const double> samples) {
  const std::vector<double> ranks = ranks_of(samples);
  const double mean = 0.5 * (static_cast<double>(ranks.size()) + 1.0);
  double steps = 0.0;
  double spread = 0.0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    spread += std::pow(ranks[i] - mean, 2);
    if (i > 0) steps += std::pow(ranks[i] - ranks[i - 1], 2);
  }
  return spread == 0.0 ? 2.0 : steps / spread;
}

}  // namespace

bool drifts(std::span<const double> samples) {
  if (samples.size() < kFewest) return false;
  const auto n = static_cast<double>(samples.size());
  const double variance = 4.0 * (n - 2.0) * (5.0 * n * n - 2.0 * n - 9.0) /
                          (5.0 * n * (n + 1.0) * (n - 1.0) * (n - 1.0));
  return von_neumann_ratio(samples) < 2.0 - kQuantile * std::sqrt(variance);
}

}  // namespace tessera::bench
