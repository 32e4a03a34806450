// SPDX-License-Identifier: Apache-2.0
//
// Sums over pairs of values.

#include "framework/quant/weights/weight_error.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>

namespace tessera::quant {

void WeightError::add(std::span<const float> original,
                      std::span<const float> decoded) {
  assert(original.size() == decoded.size());
  for (size_t i = 0; i < original.size(); ++i) {
    const double x = original[i];
    const double y = decoded[i];
    const double error = std::fabs(x - y);
    absolute_ += error;
    squared_ += error * error;
    max_ = std::max(max_, error);
    original_squared_ += x * x;
    decoded_squared_ += y * y;
    product_ += x * y;
  }
  count_ += original.size();
}

void WeightError::merge(const WeightError& other) {
  count_ += other.count_;
  absolute_ += other.absolute_;
  squared_ += other.squared_;
  max_ = std::max(max_, other.max_);
  original_squared_ += other.original_squared_;
  decoded_squared_ += other.decoded_squared_;
  product_ += other.product_;
}

double WeightError::mean_absolute() const {
  return count_ == 0 ? 0.0 : absolute_ / static_cast<double>(count_);
}

double WeightError::mean_squared() const {
  return count_ == 0 ? 0.0 : squared_ / static_cast<double>(count_);
}

double WeightError::sqnr_db() const {
  if (squared_ == 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(original_squared_ / squared_);
}

double WeightError::cosine() const {
  const double norms =
      std::sqrt(original_squared_) * std::sqrt(decoded_squared_);
  if (norms > 0.0) return std::clamp(product_ / norms, -1.0, 1.0);
  return original_squared_ == decoded_squared_ ? 1.0 : 0.0;
}

}  // namespace tessera::quant
