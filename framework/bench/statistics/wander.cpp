// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/wander.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::bench {
namespace {

constexpr size_t kFewest = 8;
constexpr size_t kLongest = 256;      // neighbours that are averaged
constexpr double kFurthest = 4.0;     // standard deviations from the median
constexpr double kOfNormal = 1.4826;  // of a median absolute deviation

// Distances from the median as shares of it.  Those far away say nothing of
// medians, but would drown all else in a variance: they are taken nearer.
std::vector<double> clipped_shares(std::span<const double> samples) {
  const double median = quantile_of(samples, 0.5);
  std::vector<double> shares(samples.size(), 0.0);
  if (median <= 0.0) return shares;
  std::vector<double> distances(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    shares[i] = samples[i] / median - 1.0;
    distances[i] = std::abs(shares[i]);
  }
  const double most = kFurthest * kOfNormal * quantile_of(distances, 0.5);
  for (double& share : shares) share = std::clamp(share, -most, most);
  return shares;
}

// The variance of means of `length` neighbours.
struct AllanVariance {
  double length = 0.0;
  double variance = 0.0;
  double weight = 0.0;  // degrees of freedom
};

AllanVariance allan_variance(const std::vector<double>& sums, size_t length) {
  const size_t count = sums.size() - 2 * length;
  double sum = 0.0;
  for (size_t i = 0; i < count; ++i) {
    const double step = sums[i + 2 * length] - 2.0 * sums[i + length] + sums[i];
    sum += step * step;
  }
  const auto n = static_cast<double>(length);
  const auto num_means = static_cast<double>(sums.size() - 1) / n;
  return {n, 0.5 * sum / (n * n * static_cast<double>(count)), num_means - 1.0};
}

// 1, 2, 3, 4, 6, 8, 12, ... with at least four means of each.
std::vector<AllanVariance> allan_variances(const std::vector<double>& values) {
  std::vector<double> sums(values.size() + 1, 0.0);
  for (size_t i = 0; i < values.size(); ++i) sums[i + 1] = sums[i] + values[i];
  const size_t most = std::min(values.size() / 4, kLongest);
  std::vector<AllanVariance> all;
  for (size_t power = 1; power <= most; power *= 2) {
    all.push_back(allan_variance(sums, power));
    const size_t between = power + power / 2;
    if (power > 1 && between <= most) {
      all.push_back(allan_variance(sums, between));
    }
  }
  return all;
}

// The variance of a mean of n is independent / n + lasting.
struct NoiseParts {
  double independent = 0.0;
  double lasting = 0.0;
};

// Weighted least squares; neither part below 0.
NoiseParts solve_parts(const std::vector<AllanVariance>& all,
                       const NoiseParts& guess) {
  double ww = 0.0;
  double wl = 0.0;
  double ll = 0.0;
  double w = 0.0;
  double l = 0.0;
  for (const AllanVariance& one : all) {
    const double expected = guess.independent / one.length + guess.lasting;
    const double weight = one.weight / (expected * expected);
    ww += weight / (one.length * one.length);
    wl += weight / one.length;
    ll += weight;
    w += weight * one.variance / one.length;
    l += weight * one.variance;
  }
  const double determinant = ww * ll - wl * wl;
  if (determinant <= 0.0) return {w / ww, 0.0};
  const NoiseParts parts{(w * ll - l * wl) / determinant,
                         (l * ww - w * wl) / determinant};
  if (parts.lasting < 0.0) return {w / ww, 0.0};
  if (parts.independent < 0.0) return {0.0, l / ll};
  return parts;
}

}  // namespace

double wander_of(std::span<const double> samples) {
  if (samples.size() < kFewest) return 0.0;
  const std::vector<AllanVariance> all =
      allan_variances(clipped_shares(samples));
  if (all.front().variance <= 0.0) return 0.0;
  // Each variance is known the better the smaller it is, so the weights need
  // what they help to find.
  constexpr int kRounds = 4;
  NoiseParts parts{all.front().variance, 0.0};
  for (int i = 0; i < kRounds; ++i) parts = solve_parts(all, parts);
  return std::sqrt(parts.lasting);
}

// The spectrum that lasting noise has, h / f, correlates moments t apart by
// -h ln t, but for a constant, and has an Allan variance of 2 ln(2) h.  Means
// over 1 and over r vary by h 3/2 and h (3/2 - ln r) then, and together by -h
// times the mean of ln t over all pairs of moments: what is left of its second
// integral at the corners.
double step_to_longer_run(double times, double pause) {
  const auto integral = [](double t) {
    return t > 0.0 ? t * t * (0.5 * std::log(t) - 0.75) : 0.0;
  };
  const double begin = 1.0 + pause;
  const double end = begin + times;
  const double together = (integral(end) - integral(begin) -
                           integral(end - 1.0) + integral(begin - 1.0)) /
                          times;
  const double step = 3.0 - std::log(times) + 2.0 * together;
  return std::sqrt(step / (2.0 * std::numbers::ln2));
}

}  // namespace tessera::bench
