// SPDX-License-Identifier: Apache-2.0
//
// A grid of ranges, each judged by the codes it gives.

#include "framework/quant/weights/clip_search.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "framework/format/row_codec.hpp"
#include "framework/quant/weights/integer_weight.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

double error_of(const format::IntegerGrid& grid, format::GroupScale group,
                std::span<const float> values,
                std::span<const float> importance) {
  std::vector<int32_t> codes(values.size());
  std::vector<float> decoded(values.size());
  format::integer_codes(grid, group, values, codes);
  format::integer_values(group, codes, decoded);
  double sum = 0.0;
  for (size_t k = 0; k < values.size(); ++k) {
    const double error = double{decoded[k]} - double{values[k]};
    sum += error * error * (importance.empty() ? 1.0 : double{importance[k]});
  }
  return sum;
}

}  // namespace

format::GroupScale search_scale(const format::WeightScheme& scheme,
                                const ClipSearch& clip,
                                std::span<const float> values,
                                std::span<const float> importance) {
  const format::Range whole = format::range_of(values);
  format::GroupScale best = format::choose_integer_scale(scheme, whole);
  if (clip.num_steps == 0) return best;

  const format::IntegerGrid grid = format::integer_grid(scheme);
  double best_error = error_of(grid, best, values, importance);
  for (uint32_t step = 1; step <= clip.num_steps; ++step) {
    const float share = 1.0f - (1.0f - clip.smallest) *
                                   static_cast<float>(step) /
                                   static_cast<float>(clip.num_steps);
    const format::GroupScale tried = format::choose_integer_scale(
        scheme, {whole.min * share, whole.max * share});
    const double error = error_of(grid, tried, values, importance);
    if (error < best_error) {
      best = tried;
      best_error = error;
    }
  }
  return best;
}

Status check_scale(const format::WeightScheme& scheme,
                   const format::GroupScale& group) {
  if (std::isfinite(group.scale)) return {};
  return Status(TSR_INVALID_ARGUMENT,
                "a scale does not fit " + dtype_name(scheme.scale_dtype));
}

Result<RoundedWeight> round_with_search(const format::WeightScheme& scheme,
                                        const ClipSearch& clip, uint32_t N,
                                        std::span<const float> values,
                                        std::span<const float> importance,
                                        const ParallelFor& run) {
  const auto K = static_cast<uint32_t>(N == 0 ? 0 : values.size() / N);
  if (values.size() != uint64_t{N} * K) return check_values(N, K, values);
  if (!importance.empty() && importance.size() != K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "importance of " + std::to_string(importance.size()) +
                      " columns for K=" + std::to_string(K));
  }
  format::GroupScale whole;
  if (scheme.per_tensor) {
    TSR_RETURN_IF_ERROR(check_values(N, K, values));
    whole = search_scale(scheme, clip, values, {});
  }
  const uint32_t group_size = scheme.group_size == 0 ? K : scheme.group_size;
  const auto choose = [&](uint32_t /*n*/, uint32_t g,
                          std::span<const float> group) {
    if (scheme.per_tensor) return whole;
    const auto weights =
        importance.empty()
            ? importance
            : importance.subspan(size_t{g} * group_size, group.size());
    return search_scale(scheme, clip, group, weights);
  };
  const auto read = [&](uint32_t first, std::span<float> out) {
    std::copy_n(&values[size_t{first} * K], out.size(), out.begin());
  };
  return round_rows(scheme, N, K, read, choose, run);
}

}  // namespace tessera::quant
