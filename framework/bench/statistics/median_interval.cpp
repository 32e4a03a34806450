// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/median_interval.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "framework/bench/statistics/sign_test.hpp"
#include "framework/bench/statistics/wander.hpp"

namespace tessera::bench {
namespace {

// The other run's median varies as well, by a tenth of our own's variance: the
// interval is to be wider by sqrt(1.1), which for a normal law is a confidence
// of 2 Phi(1.96 sqrt(1.1)) - 1 = 0.960.  What few samples show of wandering by
// chance widens it by 2 % of confidence on average: counted for 9 to 40.
constexpr double kConfidence = 0.94;
constexpr double kTimesLonger = 10.0;
constexpr double kBetweenNs = 1e10;  // this command and the next

std::vector<double> sorted(std::span<const double> samples) {
  std::vector<double> values(samples.begin(), samples.end());
  std::sort(values.begin(), values.end());
  return values;
}

// That the median lies between the k-th smallest and the k-th largest of n.
double coverage(size_t n, size_t k) {
  return 1.0 - 2.0 * fair_coin_cdf(n, k - 1);
}

double median_of_sorted(const std::vector<double>& values) {
  const size_t n = values.size();
  return 0.5 * (values[(n - 1) / 2] + values[n / 2]);
}

MedianInterval interval_without_memory(const std::vector<double>& values) {
  const size_t n = values.size();
  MedianInterval result;
  result.min = values.front();
  result.median = median_of_sorted(values);
  size_t k = 1;
  while (2 * (k + 1) <= n && coverage(n, k + 1) >= kConfidence) ++k;
  const double wide = coverage(n, k);
  if (wide <= kConfidence || 2 * (k + 1) > n) {
    result.low = values[k - 1];
    result.high = values[n - k];
    return result;
  }
  const double narrow = coverage(n, k + 1);
  const double share = (wide - kConfidence) / (wide - narrow);
  const auto kd = static_cast<double>(k);
  const auto nd = static_cast<double>(n);
  const double inward = (nd - kd) * share / (kd + (nd - 2.0 * kd) * share);
  result.low = (1.0 - inward) * values[k - 1] + inward * values[k];
  result.high = (1.0 - inward) * values[n - k] + inward * values[n - k - 1];
  return result;
}

}  // namespace

double quantile_of(std::span<const double> samples, double share) {
  if (samples.empty()) return 0.0;
  const std::vector<double> values = sorted(samples);
  const double at =
      std::clamp(share, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, values.size() - 1);
  const double part = at - static_cast<double>(below);
  return values[below] + part * (values[above] - values[below]);
}

MedianInterval median_interval(std::span<const double> samples,
                               double machine_wander, double run_ns) {
  if (samples.empty()) return {};
  MedianInterval result = interval_without_memory(sorted(samples));
  result.wander = std::max(wander_of(samples), machine_wander);
  if (result.wander <= 0.0) return result;
  const double pause = run_ns > 0.0 ? kBetweenNs / run_ns : 0.0;
  // At 95 %.  What lasts over seconds shows in the longest windows alone, of
  // which a probe has six: Student's t with five degrees of freedom.
  constexpr double kNormal = 1.960;
  constexpr double kStudent = 2.571;
  const double quantile = run_ns > 0.0 ? kStudent : kNormal;
  const double share =
      quantile * step_to_longer_run(kTimesLonger, pause) * result.wander;
  const double median = result.median;
  const double below = std::hypot(median - result.low, share * median);
  const double above = std::hypot(result.high - median, share * median);
  // A machine that wanders far is slower by that factor, not below zero.
  result.low = std::max(median - below, result.low / (1.0 + share));
  result.high = median + above;
  return result;
}

}  // namespace tessera::bench
