// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/drift.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace tessera::bench {
namespace {

constexpr size_t kFewest = 10;
constexpr double kQuantile = 2.3263;  // of a normal law, at 99 %

// From 1; equal samples share the mean of theirs.
std::vector<double> ranks_of(std::span<const double> samples) {
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return samples[a] < samples[b]; });
  std::vector<double> ranks(samples.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && samples[order[end]] == samples[order[begin]]) {
      ++end;
    }
    for (size_t i = begin; i < end; ++i) {
      ranks[order[i]] = 0.5 * static_cast<double>(begin + 1 + end);
    }
    begin = end;
  }
  return ranks;
}

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
