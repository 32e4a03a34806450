// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/race_rules.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/bench/statistics/sign_test.hpp"

namespace tessera::cli {
namespace {

// Of a race to be wrong, all looks together.
constexpr double kAlpha = 0.05;

// Of one look.  Looks begin with the first that can tell anything: n ratios of
// a median are all on one side with 2^-n.
double alpha_of_look(uint32_t loads) {
  for (uint32_t first = 1; first <= loads; ++first) {
    const double alpha = kAlpha / (loads - first + 1);
    if (std::ldexp(1.0, -static_cast<int>(first)) <= alpha) return alpha;
  }
  return kAlpha;
}

}  // namespace

bool is_slower(const LoadRatios& found, double share) {
  std::vector<double> to_ratio;
  for (const double ratio : found.ratios) {
    to_ratio.push_back((1.0 + share) / ratio);
  }
  return bench::below_one_p(to_ratio) <= alpha_of_look(found.loads);
}

std::optional<bench::MedianInterval> interval_at_any_look(
    const LoadRatios& found) {
  std::vector<double> sorted(found.ratios.begin(), found.ratios.end());
  std::sort(sorted.begin(), sorted.end());
  const double alpha = alpha_of_look(found.loads);
  size_t outside = 0;  // to either side
  while (2 * outside < sorted.size() &&
         2.0 * bench::fair_coin_cdf(sorted.size(), outside) <= alpha) {
    ++outside;
  }
  if (outside == 0) return std::nullopt;
  bench::MedianInterval interval;
  interval.min = sorted.front();
  interval.median = bench::quantile_of(sorted, 0.5);
  interval.low = sorted[outside - 1];
  interval.high = sorted[sorted.size() - outside];
  return interval;
}

bool is_settled(const LoadRatios& found, double width) {
  if (is_slower(found, width)) return true;
  const auto interval = interval_at_any_look(found);
  return interval && interval->high - interval->low < width;
}

}  // namespace tessera::cli
