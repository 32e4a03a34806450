// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/measure_parts.hpp"

#include <utility>

#include "framework/quant/block/block_parts.hpp"
#include "framework/quant/pipeline/quantize_linear.hpp"

namespace tessera::quant {
namespace {

Result<double> output_error(const FloatLinear& linear, const Scheme& scheme,
                            const CapturedInput& input, const Hessian& hessian,
                            const ParallelFor& run) {
  if (!misfit(scheme, linear.K).empty()) return 0.0;
  const Recipe nearest;
  TSR_ASSIGN_OR_RETURN(
      const QuantizedLinear rounded,
      quantize_linear({linear, scheme, nearest, &input, nullptr}, run));
  TSR_ASSIGN_OR_RETURN(const std::vector<float> decoded,
                       decode_values(rounded.weight, run));
  return layer_mse(linear.N, linear.weight, decoded, hessian, run);
}

}  // namespace

Result<std::vector<double>> measure_parts(
    SensitivityMetric metric, const DecoderBlock& block,
    const std::vector<CapturedInput*>& inputs, const Scheme* scheme,
    const ParallelFor& run) {
  std::vector<double> metrics(inputs.size());
  Hessian hessian;
  for (uint32_t part = 0; part < inputs.size(); ++part) {
    CapturedInput& input = *inputs[part];
    if (metric != SensitivityMetric::kLayerMse) {
      TSR_ASSIGN_OR_RETURN(metrics[part],
                           input_sensitivity(metric, input.observer));
      continue;
    }
    if (scheme == nullptr) continue;
    if (input_of_part(part) == part) {
      TSR_ASSIGN_OR_RETURN(hessian,
                           std::move(input.statistics).take_hessian(run));
    }
    TSR_ASSIGN_OR_RETURN(
        metrics[part], output_error(block.*block_parts()[part].linear, *scheme,
                                    input, hessian, run));
  }
  return metrics;
}

}  // namespace tessera::quant
