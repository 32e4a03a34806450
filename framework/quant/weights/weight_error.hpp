// SPDX-License-Identifier: Apache-2.0
//
// How far quantized weights are from the originals: the figures of the report.

#pragma once

#include <cstdint>
#include <span>

namespace tessera::quant {

// Streams pairs of values; sums in f64.
class WeightError {
 public:
  // Requires: both of one size.
  void add(std::span<const float> original, std::span<const float> decoded);

  // Takes in the sums of another part of the same weight, or of another weight.
  void merge(const WeightError& other);

  uint64_t count() const { return count_; }
  double mean_absolute() const;  // MAE
  double mean_squared() const;   // MSE
  double max_absolute() const { return max_; }
  // 10 log10(sum x^2 / sum (x - y)^2), dB; infinity without error.
  double sqnr_db() const;
  // x . y / (|x| |y|); 1 if both are all zeros, 0 if one is.
  double cosine() const;

 private:
  uint64_t count_ = 0;
  double absolute_ = 0.0;
  double squared_ = 0.0;
  double max_ = 0.0;
  double original_squared_ = 0.0;
  double decoded_squared_ = 0.0;
  double product_ = 0.0;
};

}  // namespace tessera::quant
