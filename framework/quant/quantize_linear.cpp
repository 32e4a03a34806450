// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/quantize_linear.hpp"

#include <fmt/format.h>

#include "framework/conformance/reference/weight.hpp"
#include "framework/format/encode.hpp"
#include "framework/quant/clip_search.hpp"
#include "framework/quant/gptq.hpp"
#include "tessera/ops.h"

namespace tessera::quant {
namespace {

// Mean squares of the inputs, what llama.cpp calls the importance matrix.
std::vector<float> importance_of(const CapturedInput* input) {
  if (input == nullptr) return {};
  const ColumnStatistics& seen = input->statistics.columns();
  std::vector<float> importance(seen.sum_squares.size());
  for (size_t k = 0; k < importance.size(); ++k) {
    importance[k] = static_cast<float>(seen.sum_squares[k] /
                                       static_cast<double>(seen.num_rows));
  }
  return importance;
}

Result<format::WeightData> round_weight(const LinearTask& task,
                                        const ParallelFor& run) {
  const FloatLinear& linear = task.linear;
  const format::WeightScheme scheme = weight_scheme_of(task.scheme);
  if (!is_integer_scheme(task.scheme)) {
    return format::encode_weight(scheme, linear.N, linear.K, linear.weight);
  }
  if (task.factor != nullptr) {
    TSR_ASSIGN_OR_RETURN(GptqResult result,
                         quantize_gptq(scheme, task.recipe.gptq, *task.factor,
                                       linear.N, linear.weight, run));
    return std::move(result.weight);
  }
  const bool searches = task.recipe.clip.num_steps > 0;
  return round_with_search(
      scheme, task.recipe.clip, linear.N, linear.weight,
      searches ? importance_of(task.input) : std::vector<float>(), run);
}

}  // namespace

bool has_static_activations(const Scheme& scheme) {
  return scheme.act_quant == TSR_ACT_I8_STATIC ||
         scheme.act_quant == TSR_ACT_U8_STATIC ||
         scheme.act_quant == TSR_ACT_I8_MIX;
}

format::WeightScheme weight_scheme_of(const Scheme& scheme) {
  format::WeightScheme result;
  result.format = scheme.weight_format;
  result.group_size = scheme.group_size;
  result.symmetric = scheme.symmetric;
  return result;
}

bool is_integer_scheme(const Scheme& scheme) {
  switch (scheme.weight_format) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return true;
    default:
      return false;
  }
}

Result<QuantizedLinear> quantize_linear(const LinearTask& task,
                                        const ParallelFor& run) {
  QuantizedLinear result;
  TSR_ASSIGN_OR_RETURN(result.weight, round_weight(task, run));
  TSR_ASSIGN_OR_RETURN(const std::vector<float> decoded,
                       decode_values(result.weight));
  result.error.add(task.linear.weight, decoded);
  if (!has_static_activations(task.scheme)) return result;
  if (task.input == nullptr) {
    return Status(TSR_FAILED_PRECONDITION,
                  fmt::format("scheme {} has static activations, which need "
                              "calibration",
                              task.scheme.name));
  }
  TSR_ASSIGN_OR_RETURN(
      const StaticActivation activation,
      choose_static_activation(task.input->observer, task.recipe.activations));
  add_static_activation(activation, &result.weight);
  return result;
}

Result<std::vector<float>> decode_values(const format::WeightData& weight) {
  TSR_ASSIGN_OR_RETURN(const reference::Weight opened,
                       reference::Weight::open(weight));
  const std::span<const int32_t> order = opened.permutation();
  std::vector<float> values(uint64_t{weight.N} * weight.K);
  std::vector<double> row(weight.K);
  for (uint32_t n = 0; n < weight.N; ++n) {
    opened.decode_row(n, row);
    float* out = values.data() + uint64_t{n} * weight.K;
    for (uint32_t k = 0; k < weight.K; ++k) {
      const auto feature =
          order.empty() ? size_t{k} : static_cast<size_t>(order[k]);
      out[feature] = static_cast<float>(row[k]);
    }
  }
  return values;
}

}  // namespace tessera::quant
