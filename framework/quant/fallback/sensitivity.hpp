// SPDX-License-Identifier: Apache-2.0
//
// How much a linear suffers from quantization: cheap figures of its input's
// distribution, and the error of its output.

#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "framework/base/status.hpp"
#include "framework/quant/activations/input_statistics.hpp"
#include "framework/quant/activations/tensor_observer.hpp"
#include "framework/quant/algebra/parallel.hpp"

namespace tessera::quant {

enum class SensitivityMetric {
  kRangeParm,  // absmax / standard deviation
  kQuantile,   // 2 * absmax / 254 / interquartile range
  kKurtosis,   // fourth central moment / variance^2
  kLayerMse,   // mean squared error of the output: layer_mse
};

// "range_parm" (also "std"), "quantile", "kurtosis" and "layer_mse".
// Errors: INVALID_ARGUMENT, naming them.
Result<SensitivityMetric> find_sensitivity_metric(std::string_view name);

// A figure of an input's distribution; larger is more sensitive.  0 for a
// constant input; infinity if half of the values are equal and others are not
// (quantile).
//
// Requires  metric is not kLayerMse
// Errors    FAILED_PRECONDITION if nothing was observed
// Source    msModelSlim, analyze ("std", "quantile", "kurtosis"); article A3
//           ("range_parm")
Result<double> input_sensitivity(SensitivityMetric metric,
                                 const TensorObserver& input);

// Mean over outputs and calibration rows of (x . (decoded - original))^2, from
// the Hessian alone: tr(dW H dW^T) / (2 N).  Products in f32, sums in f64.
//
// Shapes    original, decoded [N, K]
// Errors    INVALID_ARGUMENT if sizes do not fit
Result<double> layer_mse(uint32_t N, std::span<const float> original,
                         std::span<const float> decoded, const Hessian& hessian,
                         const ParallelFor& run);

}  // namespace tessera::quant
