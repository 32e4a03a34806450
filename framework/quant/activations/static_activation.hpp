// SPDX-License-Identifier: Apache-2.0
//
// Static activation scales: which range of a tensor's values gets codes, and
// the constants of numerics.md section 1 that follow from it.

#pragma once

#include <cstdint>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/format/weight.hpp"
#include "framework/quant/activations/tensor_observer.hpp"

namespace tessera::quant {

// code = clamp(rne(RN(x * inv)) + zero_point, lo, hi); x = scale * (code -
// zero_point).
struct StaticActivation {
  float scale = 1.0f;
  float inv = 1.0f;  // RN(1 / scale)
  int32_t zero_point = 0;
  int32_t lo = -128;
  int32_t hi = 127;
};

enum class ActivationCodes {
  kSymmetricS8,   // scale = amax / 127, zero point 0; TSR_ACT_I8_STATIC
  kAsymmetricS8,  // scale = (max - min) / 255; TSR_ACT_I8_STATIC
  kAsymmetricU8,  // the same, codes 128 higher; TSR_ACT_U8_STATIC
};

// The constants for values in [min, max], which is widened to hold 0.  A range
// below 2^-100 gets scale 1: it rounds to zero.
//
// Source  Jacob et al., arXiv:1712.05877, section 3
StaticActivation static_activation(ActivationCodes codes, float min, float max);

// How a range is taken from what was observed.
enum class RangeRule {
  kMinMax,      // all of it
  kPercentile,  // without the outermost values
  kMse,         // least squared error over a grid of ranges
  kHistogram,   // tails cut off step by step until the squared error rises
  kEntropy,     // least KL divergence of the clipped distribution
};

// "minmax", "percentile", "mse", "histogram" and "entropy".
// Errors: INVALID_ARGUMENT, naming them.
Result<RangeRule> find_range_rule(std::string_view name);

struct RangeOptions {
  RangeRule rule = RangeRule::kMinMax;
  ActivationCodes codes = ActivationCodes::kSymmetricS8;
  double percentile = 0.9999;  // share of the values that is kept
};

// Chooses a range of what was observed and returns its constants.  Never wider
// than the values seen.
//
// Errors  FAILED_PRECONDITION if nothing was observed; INVALID_ARGUMENT if
//         percentile is not in (0, 1]
// Source  kHistogram: PyTorch's HistogramObserver (steps of 1e-5 of the
//         values, from the side where they lie thinner); kEntropy: Migacz,
//         8-bit Inference with TensorRT, GTC 2017 (of the magnitudes, whatever
//         the codes)
Result<StaticActivation> choose_static_activation(const TensorObserver& seen,
                                                  const RangeOptions& options);

// Mean squared error of rounding what was observed, each histogram bin at its
// centre.
double static_error(const Histogram& seen, const StaticActivation& activation);

// Adds planes ACT_SCALE, ACT_INV and, if it is not 0, ACT_ZERO_POINT.
// Requires: the weight has none of them.
void add_static_activation(const StaticActivation& activation,
                           format::WeightData* weight);

}  // namespace tessera::quant
