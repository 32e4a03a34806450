// SPDX-License-Identifier: Apache-2.0
//
// A grid of ranges, each judged by the codes it gives.

#include "framework/quant/weights/clip_search.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "framework/quant/weights/integer_weight.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera::quant {
namespace {

double error_of(const format::IntegerGrid& grid, format::GroupScale group,
                std::span<const float> values,
                std::span<const float> importance) {
  double sum = 0.0;
  for (size_t k = 0; k < values.size(); ++k) {
    const int32_t code = format::integer_code(grid, group, values[k]);
    const double error =
        double{decode_integer(group, code)} - double{values[k]};
    sum += error * error * (importance.empty() ? 1.0 : double{importance[k]});
  }
  return sum;
}

// Rows of one task.
constexpr uint32_t kTaskRows = 16;

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

Result<format::WeightData> round_with_search(const format::WeightScheme& scheme,
                                             const ClipSearch& clip, uint32_t N,
                                             std::span<const float> values,
                                             std::span<const float> importance,
                                             const ParallelFor& run) {
  const auto K = static_cast<uint32_t>(N == 0 ? 0 : values.size() / N);
  TSR_ASSIGN_OR_RETURN(IntegerWeight weight,
                       IntegerWeight::create(scheme, N, K));
  TSR_RETURN_IF_ERROR(check_values(N, K, values));
  if (!importance.empty() && importance.size() != K) {
    return Status(TSR_INVALID_ARGUMENT,
                  "importance of " + std::to_string(importance.size()) +
                      " columns for K=" + std::to_string(K));
  }
  format::GroupScale whole;
  if (scheme.per_tensor) whole = search_scale(scheme, clip, values, {});

  std::vector<Status> failures(N);
  run(num_pieces(N, kTaskRows), [&](uint32_t task) {
    const uint32_t end = std::min(N, (task + 1) * kTaskRows);
    for (uint32_t n = task * kTaskRows; n < end; ++n) {
      for (uint32_t g = 0; g < weight.num_groups(); ++g) {
        const uint32_t begin = g * weight.group_size();
        const uint32_t size = std::min(weight.group_size(), K - begin);
        const auto group = values.subspan(size_t{n} * K + begin, size);
        const format::GroupScale scale =
            scheme.per_tensor
                ? whole
                : search_scale(scheme, clip, group,
                               importance.empty()
                                   ? importance
                                   : importance.subspan(begin, size));
        failures[n] = check_scale(scheme, scale);
        if (!failures[n].ok()) return;
        if (!scheme.per_tensor || n == 0) weight.set_group(n, g, scale);
        for (uint32_t i = 0; i < size; ++i) {
          weight.set_code(n, begin + i,
                          format::integer_code(weight.grid(), scale, group[i]));
        }
      }
    }
  });
  for (uint32_t n = 0; n < N; ++n) {
    TSR_RETURN_IF_ERROR(
        std::move(failures[n]).annotate("row " + std::to_string(n)));
  }
  return std::move(weight).take();
}

}  // namespace tessera::quant
