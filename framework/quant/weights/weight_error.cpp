// SPDX-License-Identifier: Apache-2.0
//
// Sums over pairs of values.

#include "framework/quant/weights/weight_error.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <limits>

namespace tessera::quant {
namespace {

using Sums = std::array<double, 8>;

inline void add_pair(float original, float decoded, size_t lane,
                     std::array<Sums, 6>* sums) {
  const double x = original;
  const double y = decoded;
  const double error = std::fabs(x - y);
  (*sums)[0][lane] += error;
  (*sums)[1][lane] += error * error;
  (*sums)[2][lane] = error > (*sums)[2][lane] ? error : (*sums)[2][lane];
  (*sums)[3][lane] += x * x;
  (*sums)[4][lane] += y * y;
  (*sums)[5][lane] += x * y;
}

}  // namespace

void WeightError::add(std::span<const float> original,
                      std::span<const float> decoded) {
  assert(original.size() == decoded.size());
  // Lanes, which compilers put into registers.
  constexpr size_t kLanes = 8;
  std::array<Sums, 6> sums{};
  size_t i = 0;
  for (; i + kLanes <= original.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      add_pair(original[i + lane], decoded[i + lane], lane, &sums);
    }
  }
  for (; i < original.size(); ++i) add_pair(original[i], decoded[i], 0, &sums);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    absolute_ += sums[0][lane];
    squared_ += sums[1][lane];
    max_ = std::max(max_, sums[2][lane]);
    original_squared_ += sums[3][lane];
    decoded_squared_ += sums[4][lane];
    product_ += sums[5][lane];
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
