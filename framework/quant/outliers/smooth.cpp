// SPDX-License-Identifier: Apache-2.0
//
// Scales from maxima, and the subgraphs they are folded into.

#include "framework/quant/outliers/smooth.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace tessera::quant {
namespace {

constexpr double kSmallestScale = 1e-5;

constexpr Subgraph kAll[] = {Subgraph::kUpDown, Subgraph::kValueOutput,
                             Subgraph::kNormAttention, Subgraph::kNormMlp};
constexpr Subgraph kNorms[] = {Subgraph::kNormAttention, Subgraph::kNormMlp};

}  // namespace

std::vector<float> smooth_scales(const SmoothExponents& exponents,
                                 std::span<const float> activation_max,
                                 std::span<const float> weight_max) {
  std::vector<float> s(activation_max.size(), 1.0f);
  for (size_t i = 0; i < s.size(); ++i) {
    if (activation_max[i] == 0.0f || weight_max[i] == 0.0f) continue;
    const double scale = std::pow(double{activation_max[i]}, exponents.alpha) /
                         std::pow(double{weight_max[i]}, exponents.beta);
    s[i] = static_cast<float>(std::max(scale, kSmallestScale));
  }
  return s;
}

std::vector<float> weight_column_max(std::span<FloatLinear* const> linears) {
  std::vector<float> largest(linears.empty() ? 0 : linears[0]->K);
  for (const FloatLinear* linear : linears) {
    for (size_t i = 0; i < linear->weight.size(); ++i) {
      float& value = largest[i % linear->K];
      value = std::max(value, std::fabs(linear->weight[i]));
    }
  }
  return largest;
}

std::vector<float>& BlockActivations::of(Subgraph subgraph) {
  switch (subgraph) {
    case Subgraph::kNormAttention:
      return attention;
    case Subgraph::kNormMlp:
      return mlp;
    case Subgraph::kValueOutput:
      return output;
    default:
      return down;
  }
}

std::span<const Subgraph> all_subgraphs() { return kAll; }
std::span<const Subgraph> norm_subgraphs() { return kNorms; }

Result<std::vector<float>> smooth_subgraph(Subgraph subgraph,
                                           const SmoothExponents& exponents,
                                           DecoderBlock* block,
                                           BlockActivations* activations) {
  const auto is_share = [](double e) { return e >= 0.0 && e <= 1.0; };
  if (!is_share(exponents.alpha) || !is_share(exponents.beta)) {
    return Status(TSR_INVALID_ARGUMENT,
                  "smooth: alpha=" + std::to_string(exponents.alpha) +
                      ", beta=" + std::to_string(exponents.beta) +
                      " are not in [0, 1]");
  }
  std::vector<float>& maxima = activations->of(subgraph);
  const std::vector<FloatLinear*> linears = consumers(subgraph, block);
  if (maxima.size() != linears[0]->K ||
      !std::all_of(maxima.begin(), maxima.end(), [](float value) {
        return std::isfinite(value) && value >= 0.0f;
      })) {
    return Status(TSR_INVALID_ARGUMENT,
                  "smooth: " + std::to_string(maxima.size()) +
                      " activation maxima for K=" +
                      std::to_string(linears[0]->K) + ", or not finite");
  }
  const std::vector<uint32_t> channels = channel_map(subgraph, *block);
  std::vector<float> s =
      smooth_scales(exponents, merge_columns(channels, maxima),
                    merge_columns(channels, weight_column_max(linears)));
  TSR_RETURN_IF_ERROR(fold_scales(subgraph, s, block).annotate("smooth"));
  const std::vector<float> columns = spread_channels(channels, s);
  for (size_t k = 0; k < maxima.size(); ++k) maxima[k] /= columns[k];
  return s;
}

}  // namespace tessera::quant
