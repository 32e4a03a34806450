// SPDX-License-Identifier: Apache-2.0
//
// What calibration keeps of one tensor as a whole: extremes, moments and a
// histogram, from which static ranges and sensitivity metrics are read.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/status.hpp"

namespace tessera::quant {

// Counts over (-limit, limit) in 8192 bins of equal width.  The limit is a
// power of two and doubles when a value asks for it, which merges bins in
// pairs, exactly: the order of the values changes no count.
class Histogram {
 public:
  static constexpr uint32_t kBins = 8192;

  void add(std::span<const float> values);

  uint64_t total() const { return total_; }
  uint64_t count(uint32_t bin) const { return counts_[bin]; }
  double width() const { return width_; }
  double center(uint32_t bin) const { return lower_edge(bin) + width_ / 2; }
  double lower_edge(uint32_t bin) const {
    constexpr auto kZero = static_cast<int32_t>(kBins / 2);
    return (static_cast<int32_t>(bin) - kZero) * width_;
  }

  // The q-quantile (0 to 1), linear within a bin: off by at most one width,
  // which is at most 2^-11 of the largest magnitude.
  // Requires: total() > 0.
  double quantile(double q) const;

  // The same of the magnitudes.
  double quantile_of_magnitude(double q) const;

 private:
  void widen(double magnitude);

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBins);
  double width_ = 0.0;  // 0 until a value is not zero
  uint64_t total_ = 0;
};

// Streams a tensor's values.
class TensorObserver {
 public:
  // Errors  INVALID_ARGUMENT, naming the element (counted over all calls), for
  //         NaN or infinity; then none of these values counts
  Status add(std::span<const float> values);

  uint64_t count() const { return count_; }
  float min() const { return min_; }
  float max() const { return max_; }
  float abs_max() const { return -min_ > max_ ? -min_ : max_; }
  double mean() const;
  double standard_deviation() const;  // of the values seen: divided by count
  // Fourth central moment over the square of the variance: 3 for a normal
  // distribution; 0 if all values are equal.
  double kurtosis() const;
  const Histogram& histogram() const { return histogram_; }

 private:
  double central_moment2() const;

  uint64_t count_ = 0;
  float min_ = 0.0f;
  float max_ = 0.0f;
  double sums_[4] = {};  // of x, x^2, x^3, x^4
  Histogram histogram_;
};

}  // namespace tessera::quant
