// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/drift.hpp"

#include <cmath>
#include <vector>

#include "framework/base/ranks.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kFewest = 10;
constexpr double kQuantile = 2.3263;  // of a normal law, at 99 %

}  // namespace

bool drifts(std::span<const double> samples) {
  if (samples.size() < kFewest) return false;
  const std::vector<double> ranks = ranks_of(samples);
  const auto n = static_cast<double>(ranks.size());
  double steps = 0.0;
  double spread = 0.0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    spread += std::pow(ranks[i] - 0.5 * (n + 1.0), 2);
    if (i > 0) steps += std::pow(ranks[i] - ranks[i - 1], 2);
  }
  if (spread == 0.0) return false;
  const double variance = 4.0 * (n - 2.0) * (5.0 * n * n - 2.0 * n - 9.0) /
                          (5.0 * n * (n + 1.0) * (n - 1.0) * (n - 1.0));
  return steps / spread < 2.0 - kQuantile * std::sqrt(variance);
}

}  // namespace tessera::bench
