// SPDX-License-Identifier: Apache-2.0
//
// Constants of a range, and the rules that choose one.

#include "framework/quant/activations/static_activation.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "framework/format/element.hpp"
#include "framework/quant/activations/range_search.hpp"

namespace tessera::quant {
namespace {

constexpr float kSmallestRange = 0x1p-100f;

struct NamedRule {
  std::string_view name;
  RangeRule rule;
};
constexpr NamedRule kRules[] = {
    {"minmax", RangeRule::kMinMax},   {"percentile", RangeRule::kPercentile},
    {"mse", RangeRule::kMse},         {"histogram", RangeRule::kHistogram},
    {"entropy", RangeRule::kEntropy},
};

// Keeps a searched range inside what was seen, and zero inside it.
ValueRange intersect(ValueRange range, const TensorObserver& seen) {
  return {std::min(0.0, std::max(range.min, double{seen.min()})),
          std::max(0.0, std::min(range.max, double{seen.max()}))};
}

ValueRange percentile_range(const TensorObserver& seen,
                            const RangeOptions& options) {
  const Histogram& histogram = seen.histogram();
  if (options.codes == ActivationCodes::kSymmetricS8) {
    const double limit = histogram.quantile_of_magnitude(options.percentile);
    return {-limit, limit};
  }
  const double tail = (1.0 - options.percentile) / 2.0;
  return {histogram.quantile(tail), histogram.quantile(1.0 - tail)};
}

}  // namespace

Result<RangeRule> find_range_rule(std::string_view name) {
  std::string names;
  for (const NamedRule& row : kRules) {
    if (row.name == name) return row.rule;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return Status(TSR_INVALID_ARGUMENT,
                "observer \"" + std::string(name) + "\" is none of " + names);
}

StaticActivation static_activation(ActivationCodes codes, float min,
                                   float max) {
  StaticActivation activation;
  if (codes == ActivationCodes::kAsymmetricU8) {
    activation.lo = 0;
    activation.hi = 255;
  }
  min = std::min(min, 0.0f);
  max = std::max(max, 0.0f);
  const float amax = std::max(-min, max);
  if (amax < kSmallestRange) return activation;
  if (codes == ActivationCodes::kSymmetricS8) {
    activation.scale = amax / 127.0f;
  } else {
    activation.scale = static_cast<float>((double{max} - double{min}) / 255.0);
  }
  activation.inv = 1.0f / activation.scale;
  if (codes != ActivationCodes::kSymmetricS8) {
    const float offset = std::nearbyint(-min / activation.scale);
    activation.zero_point =
        activation.lo + static_cast<int32_t>(std::clamp(offset, 0.0f, 255.0f));
  }
  return activation;
}

double static_error(const Histogram& seen, const StaticActivation& activation) {
  double sum = 0.0;
  for (uint32_t bin = 0; bin < Histogram::kBins; ++bin) {
    if (seen.count(bin) == 0) continue;
    const double value = seen.center(bin);
    const double code = std::clamp(
        std::nearbyint(value * double{activation.inv}) + activation.zero_point,
        double{1} * activation.lo, double{1} * activation.hi);
    const double error =
        value - double{activation.scale} * (code - activation.zero_point);
    sum += static_cast<double>(seen.count(bin)) * error * error;
  }
  return seen.total() == 0 ? 0.0 : sum / static_cast<double>(seen.total());
}

Result<StaticActivation> choose_static_activation(const TensorObserver& seen,
                                                  const RangeOptions& options) {
  if (seen.count() == 0) {
    return Status(TSR_FAILED_PRECONDITION,
                  "no static scale: the calibration set gave no activations");
  }
  if (!(options.percentile > 0.0 && options.percentile <= 1.0)) {
    return Status(TSR_INVALID_ARGUMENT, "percentile " +
                                            std::to_string(options.percentile) +
                                            " is not in (0, 1]");
  }
  ValueRange range{double{seen.min()}, double{seen.max()}};
  switch (options.rule) {
    case RangeRule::kMinMax:
      break;
    case RangeRule::kPercentile:
      range = percentile_range(seen, options);
      break;
    case RangeRule::kMse:
      range = search_grid(seen.histogram(), options.codes, range);
      break;
    case RangeRule::kHistogram:
      range = search_tails(seen.histogram(), options.codes, range);
      break;
    case RangeRule::kEntropy:
      range = search_entropy(seen.histogram());
      break;
  }
  range = intersect(range, seen);
  return static_activation(options.codes, static_cast<float>(range.min),
                           static_cast<float>(range.max));
}

void add_static_activation(const StaticActivation& activation,
                           format::WeightData* weight) {
  const auto add = [&](uint32_t role, uint32_t dtype) {
    format::Plane plane{role, dtype, 1, 1, 0, 0, {}, {}};
    plane.owned.resize(4);
    weight->planes.push_back(std::move(plane));
    return weight->planes.back().owned.data();
  };
  format::store_element(add(TSR_PLANE_ACT_SCALE, TSR_F32), 0, activation.scale);
  format::store_element(add(TSR_PLANE_ACT_INV, TSR_F32), 0, activation.inv);
  if (activation.zero_point == 0) return;
  format::store_element(add(TSR_PLANE_ACT_ZERO_POINT, TSR_I32), 0,
                        activation.zero_point);
}

}  // namespace tessera::quant
