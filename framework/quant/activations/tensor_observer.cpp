// SPDX-License-Identifier: Apache-2.0
//
// Streaming sums and counts.

#include "framework/quant/activations/tensor_observer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace tessera::quant {
namespace {

constexpr uint32_t kHalf = Histogram::kBins / 2;

}  // namespace

void Histogram::widen(double magnitude) {
  if (magnitude == 0.0) return;
  // The smallest power of two above the magnitude.
  const double needed =
      std::ldexp(1.0, std::ilogb(magnitude) + 1) / double{kHalf};
  if (width_ == 0.0) {
    // Zeros so far lie in the first bin from zero on, whatever its width.
    width_ = needed;
    return;
  }
  while (width_ < needed) {
    std::vector<uint64_t> merged(kBins);
    for (uint32_t bin = 0; bin < kBins; ++bin) {
      // A pair begins at an even distance from zero, and kHalf is even.
      merged[kHalf / 2 + bin / 2] += counts_[bin];
    }
    counts_.swap(merged);
    width_ *= 2.0;
  }
}

void Histogram::add(std::span<const float> values) {
  float amax = 0.0f;
  for (const float value : values) amax = std::max(amax, std::fabs(value));
  widen(double{amax});
  const double inverse = width_ == 0.0 ? 0.0 : 1.0 / width_;
  for (const float value : values) {
    const auto bin = static_cast<int32_t>(std::floor(double{value} * inverse));
    ++counts_[static_cast<uint32_t>(bin + static_cast<int32_t>(kHalf))];
  }
  total_ += values.size();
}

double Histogram::quantile(double q) const {
  double left = q * static_cast<double>(total_);
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    const auto count = static_cast<double>(counts_[bin]);
    if (count > 0.0 && left <= count) {
      return lower_edge(bin) + width_ * left / count;
    }
    left -= count;
  }
  return lower_edge(kBins);
}

double Histogram::quantile_of_magnitude(double q) const {
  double left = q * static_cast<double>(total_);
  for (uint32_t i = 0; i < kHalf; ++i) {
    const auto count =
        static_cast<double>(counts_[kHalf + i] + counts_[kHalf - 1 - i]);
    if (count > 0.0 && left <= count) return width_ * (i + left / count);
    left -= count;
  }
  return width_ * kHalf;
}

Status TensorObserver::add(std::span<const float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "activation " + std::to_string(count_ + i) + " is " +
                      (std::isnan(values[i]) ? "NaN" : "infinite"));
  }
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  min_ = count_ == 0 ? *low : std::min(min_, *low);
  max_ = count_ == 0 ? *high : std::max(max_, *high);
  for (const float value : values) {
    const double x = value;
    sums_[0] += x;
    sums_[1] += x * x;
    sums_[2] += x * x * x;
    sums_[3] += x * x * x * x;
  }
  histogram_.add(values);
  count_ += values.size();
  return {};
}

double TensorObserver::mean() const {
  return count_ == 0 ? 0.0 : sums_[0] / static_cast<double>(count_);
}

double TensorObserver::central_moment2() const {
  if (count_ == 0) return 0.0;
  const double m = mean();
  return std::max(0.0, sums_[1] / static_cast<double>(count_) - m * m);
}

double TensorObserver::standard_deviation() const {
  return std::sqrt(central_moment2());
}

double TensorObserver::kurtosis() const {
  const double variance = central_moment2();
  if (variance == 0.0) return 0.0;
  const auto n = static_cast<double>(count_);
  const double m = mean();
  const double fourth = sums_[3] / n - 4.0 * m * sums_[2] / n +
                        6.0 * m * m * sums_[1] / n - 3.0 * m * m * m * m;
  return fourth / (variance * variance);
}

}  // namespace tessera::quant
