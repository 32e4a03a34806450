// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/pipeline/quantize_linear.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "framework/conformance/reference/linear/weight.hpp"
#include "framework/format/encode.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/quant/weights/clip_search.hpp"
#include "framework/quant/weights/gptq.hpp"
#include "framework/quant/weights/integer_weight.hpp"
#include "tessera/ops.h"

namespace tessera::quant {
namespace {

constexpr uint32_t kRowsPerTask = 64;

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

Result<std::vector<float>> factors_of(const LinearTask& task) {
  const ColumnStatistics* columns =
      task.input == nullptr ? nullptr : &task.input->statistics.columns();
  return importance_factors(task.recipe.sparsity.importance, task.linear.K,
                            columns, task.factor);
}

const GptqFactor* gptq_factor(const LinearTask& task) {
  return task.recipe.weights == WeightMethod::kGptq ? task.factor : nullptr;
}

Result<format::WeightData> sparsify(const LinearTask& task,
                                    std::span<const float> values,
                                    const ParallelFor& run) {
  TSR_ASSIGN_OR_RETURN(const std::vector<float> factors, factors_of(task));
  TSR_ASSIGN_OR_RETURN(
      const ProtectedWeight weight,
      protect_fraction(task.recipe.sparsity.protect, task.linear.N, values,
                       factors, gptq_factor(task), run));
  if (task.scheme.weight_format == TSR_WEIGHT_I8) return weight.dense();
  return weight.compressed();
}

// Leaves the error to be found where it is not found in passing.
Status round_weight(const LinearTask& task, std::span<const float> values,
                    const ParallelFor& run, format::WeightData* out_weight,
                    std::optional<WeightError>* out_error) {
  const FloatLinear& linear = task.linear;
  if (task.scheme.sparsified) {
    TSR_ASSIGN_OR_RETURN(*out_weight, sparsify(task, values, run));
    return {};
  }
  const format::WeightScheme scheme = weight_scheme_of(task.scheme);
  if (!is_integer_scheme(task.scheme)) {
    TSR_ASSIGN_OR_RETURN(
        *out_weight, format::encode_weight(scheme, linear.N, linear.K, values,
                                           task.importance));
    return {};
  }
  if (const GptqFactor* factor = gptq_factor(task)) {
    TSR_ASSIGN_OR_RETURN(GptqResult result,
                         quantize_gptq(scheme, task.recipe.gptq, *factor,
                                       linear.N, values, run));
    *out_weight = std::move(result.weight);
    return {};
  }
  const bool searches = task.recipe.clip.num_steps > 0;
  TSR_ASSIGN_OR_RETURN(
      RoundedWeight rounded,
      round_with_search(
          scheme, task.recipe.clip, linear.N, values,
          searches ? importance_of(task.input) : std::vector<float>(), run));
  *out_weight = std::move(rounded.weight);
  if (values.data() == linear.weight.data()) *out_error = rounded.error;
  return {};
}

// Summed in pieces of a fixed size, so that threads change nothing.
WeightError error_of(const FloatLinear& linear, std::span<const float> decoded,
                     const ParallelFor& run) {
  std::vector<WeightError> parts(num_pieces(linear.N, kRowsPerTask));
  const std::span<const float> values = linear.weight;
  const uint64_t piece = uint64_t{kRowsPerTask} * linear.K;
  run(static_cast<uint32_t>(parts.size()), [&](uint32_t task) {
    const uint64_t begin = task * piece;
    const uint64_t count = std::min(piece, values.size() - begin);
    parts[task].add(values.subspan(begin, count),
                    decoded.subspan(begin, count));
  });
  WeightError error;
  for (const WeightError& part : parts) error.merge(part);
  return error;
}

}  // namespace

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

std::string misfit(const Scheme& scheme, uint32_t K) {
  const format::GgufBlock* block =
      format::find_gguf_block(scheme.weight_format);
  if (block == nullptr || K % block->values == 0) return "";
  return fmt::format("K={} is no multiple of {}", K, block->values);
}

bool uses_factor(const Scheme& scheme) {
  return is_integer_scheme(scheme) || scheme.sparsified;
}

Result<QuantizedLinear> quantize_linear(const LinearTask& task,
                                        const ParallelFor& run) {
  QuantizedLinear result;
  std::vector<float> zeroed;
  std::span<const float> values = task.linear.weight;
  if (task.recipe.sparsity.zero_fraction > 0.0) {
    zeroed = task.linear.weight;
    TSR_ASSIGN_OR_RETURN(const std::vector<float> factors, factors_of(task));
    TSR_RETURN_IF_ERROR(
        zero_fraction(task.recipe.sparsity.zero_fraction, factors, zeroed));
    values = zeroed;
  }
  std::optional<WeightError> error;
  TSR_RETURN_IF_ERROR(round_weight(task, values, run, &result.weight, &error));
  if (!error) {
    TSR_ASSIGN_OR_RETURN(const std::vector<float> decoded,
                         decode_values(result.weight, run));
    error = error_of(task.linear, decoded, run);
  }
  result.error = *error;
  if (!has_static_activations(task.scheme.act_quant)) return result;
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

Result<std::vector<float>> decode_values(const format::WeightData& weight,
                                         const ParallelFor& run) {
  TSR_ASSIGN_OR_RETURN(const reference::Weight opened,
                       reference::Weight::open(weight));
  const std::span<const int32_t> order = opened.permutation();
  std::vector<float> values(uint64_t{weight.N} * weight.K);
  if (order.empty() && is_integer_weight(weight)) {
    run(num_pieces(weight.N, kRowsPerTask), [&](uint32_t task) {
      const uint32_t end = std::min((task + 1) * kRowsPerTask, weight.N);
      for (uint32_t n = task * kRowsPerTask; n < end; ++n) {
        decode_integer_row(
            weight, n,
            std::span(values).subspan(uint64_t{n} * weight.K, weight.K));
      }
    });
    return values;
  }
  run(num_pieces(weight.N, kRowsPerTask), [&](uint32_t task) {
    std::vector<double> row(weight.K);
    const uint32_t end = std::min((task + 1) * kRowsPerTask, weight.N);
    for (uint32_t n = task * kRowsPerTask; n < end; ++n) {
      opened.decode_row(n, row);
      float* out = values.data() + uint64_t{n} * weight.K;
      for (uint32_t k = 0; k < weight.K; ++k) {
        const auto feature =
            order.empty() ? size_t{k} : static_cast<size_t>(order[k]);
        out[feature] = static_cast<float>(row[k]);
      }
    }
  });
  return values;
}

}  // namespace tessera::quant
