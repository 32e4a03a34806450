// SPDX-License-Identifier: Apache-2.0
//
// Figures of a distribution, and the trace form of a linear's error.

#include "framework/quant/fallback/sensitivity.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <string>
#include <vector>

#include "framework/quant/algebra/dense_product.hpp"

namespace tessera::quant {
namespace {

struct NamedMetric {
  std::string_view name;
  SensitivityMetric metric;
};
constexpr NamedMetric kMetrics[] = {
    {"range_parm", SensitivityMetric::kRangeParm},
    {"std", SensitivityMetric::kRangeParm},
    {"quantile", SensitivityMetric::kQuantile},
    {"kurtosis", SensitivityMetric::kKurtosis},
    {"layer_mse", SensitivityMetric::kLayerMse},
};

double ratio(double numerator, double denominator) {
  if (numerator == 0.0) return 0.0;
  if (denominator == 0.0) return std::numeric_limits<double>::infinity();
  return numerator / denominator;
}

constexpr uint32_t kTaskRows = 64;

}  // namespace

Result<SensitivityMetric> find_sensitivity_metric(std::string_view name) {
  std::string names;
  for (const NamedMetric& row : kMetrics) {
    if (row.name == name) return row.metric;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return Status(
      TSR_INVALID_ARGUMENT,
      "sensitivity metric \"" + std::string(name) + "\" is none of " + names);
}

Result<double> input_sensitivity(SensitivityMetric metric,
                                 const TensorObserver& input) {
  assert(metric != SensitivityMetric::kLayerMse);
  if (input.count() == 0) {
    return Status(TSR_FAILED_PRECONDITION,
                  "no sensitivity: the calibration set gave no activations");
  }
  if (input.min() == input.max()) return 0.0;
  const double amax = input.abs_max();
  switch (metric) {
    case SensitivityMetric::kRangeParm:
      return ratio(amax, input.standard_deviation());
    case SensitivityMetric::kQuantile: {
      const double range =
          input.histogram().quantile(0.75) - input.histogram().quantile(0.25);
      return ratio(2.0 * amax / 254.0, range);
    }
    default:
      return input.kurtosis();
  }
}

Result<double> layer_mse(uint32_t N, std::span<const float> original,
                         std::span<const float> decoded, const Hessian& hessian,
                         const ParallelFor& run) {
  const uint32_t K = hessian.K;
  const uint64_t size = uint64_t{N} * K;
  if (size == 0 || original.size() != size || decoded.size() != size ||
      hessian.values.size() != uint64_t{K} * K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "layer mse: " + std::to_string(original.size()) + " and " +
                      std::to_string(decoded.size()) + " weights for [" +
                      std::to_string(N) + ", " + std::to_string(K) + "]");
  }
  const uint32_t tasks = num_pieces(N, kTaskRows);
  std::vector<double> sums(tasks, 0.0);
  run(tasks, [&](uint32_t task) {
    const size_t first = size_t{task} * kTaskRows * K;
    const size_t count = std::min<size_t>(size_t{kTaskRows} * K, size - first);
    std::vector<float> difference(count);
    for (size_t i = 0; i < count; ++i) {
      difference[i] = decoded[first + i] - original[first + i];
    }
    std::vector<float> product(count, 0.0f);
    add_product({count / K, K, K, 1.0f, MatrixRef{difference.data(), K},
                 MatrixRef{hessian.values.data(), K}, product.data(), K});
    for (size_t i = 0; i < count; ++i) {
      sums[task] += double{difference[i]} * double{product[i]};
    }
  });
  double sum = 0.0;
  for (const double part : sums) sum += part;
  // Rounding of f32 products may leave a tiny negative sum for equal weights.
  return std::max(0.0, sum) / 2.0 / N;
}

}  // namespace tessera::quant
