// SPDX-License-Identifier: Apache-2.0

#include "framework/quant/weights/round_rows.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "framework/format/row_codec.hpp"
#include "framework/quant/weights/clip_search.hpp"
#include "framework/quant/weights/integer_weight.hpp"

namespace tessera::quant {
namespace {

// Values of one task: what stays in a core's cache from reading to writing.
constexpr uint32_t kTaskValues = 1U << 15;

Status find_not_finite(uint32_t n, std::span<const float> row) {
  for (size_t k = 0; k < row.size(); ++k) {
    if (std::isfinite(row[k])) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "row " + std::to_string(n) + ": column " + std::to_string(k) +
                      " is " + (std::isnan(row[k]) ? "NaN" : "infinite"));
  }
  return {};
}

// What one thread works in.
struct Scratch {
  explicit Scratch(size_t K) : codes(K), decoded(K) {}
  std::vector<int32_t> codes;
  std::vector<float> decoded;
};

Status round_row(uint32_t n, std::span<const float> row,
                 const ChooseScale& choose, Scratch& scratch,
                 IntegerWeight* weight, WeightError* error) {
  if (!format::all_finite(row)) return find_not_finite(n, row);
  for (uint32_t g = 0; g < weight->num_groups(); ++g) {
    const size_t begin = size_t{g} * weight->group_size();
    const size_t size =
        std::min<size_t>(weight->group_size(), row.size() - begin);
    const auto values = row.subspan(begin, size);
    const format::GroupScale scale = choose(n, g, values);
    TSR_RETURN_IF_ERROR(check_scale(weight->scheme(), scale)
                            .annotate("row " + std::to_string(n)));
    if (!weight->scheme().per_tensor || n == 0) weight->set_group(n, g, scale);
    const auto codes = std::span(scratch.codes).subspan(begin, size);
    format::integer_codes(weight->grid(), scale, values, codes);
    format::integer_values(scale, codes,
                           std::span(scratch.decoded).subspan(begin, size));
  }
  weight->set_codes(n, scratch.codes);
  error->add(row, scratch.decoded);
  return {};
}

}  // namespace

Result<RoundedWeight> round_rows(const format::WeightScheme& scheme, uint32_t N,
                                 uint32_t K, const ReadRows& rows,
                                 const ChooseScale& choose,
                                 const ParallelFor& run) {
  TSR_ASSIGN_OR_RETURN(IntegerWeight weight,
                       IntegerWeight::create(scheme, N, K));
  const uint32_t rows_per_task = std::max(kTaskValues / K, 1U);
  const uint32_t num_tasks = num_pieces(N, rows_per_task);
  std::vector<Status> failures(num_tasks);
  std::vector<WeightError> errors(num_tasks);
  run(num_tasks, [&](uint32_t task) {
    const uint32_t first = task * rows_per_task;
    const uint32_t count = std::min(rows_per_task, N - first);
    std::vector<float> values(size_t{count} * K);
    rows(first, values);
    Scratch scratch(K);
    for (uint32_t i = 0; i < count && failures[task].ok(); ++i) {
      const auto row = std::span<const float>(values).subspan(size_t{i} * K, K);
      failures[task] =
          round_row(first + i, row, choose, scratch, &weight, &errors[task]);
    }
  });
  RoundedWeight result;
  for (uint32_t task = 0; task < num_tasks; ++task) {
    TSR_RETURN_IF_ERROR(std::move(failures[task]));
    result.error.merge(errors[task]);
  }
  result.weight = std::move(weight).take();
  return result;
}

bool rounds_by_rows(const format::WeightScheme& scheme) {
  const uint32_t format = scheme.format;
  return (format == TSR_WEIGHT_I8 || format == TSR_WEIGHT_U8 ||
          format == TSR_WEIGHT_I4 || format == TSR_WEIGHT_U4) &&
         !scheme.per_tensor && !scheme.two_level;
}

Result<RoundedWeight> round_to_nearest(const format::WeightScheme& scheme,
                                       uint32_t N, uint32_t K,
                                       const ReadRows& rows,
                                       const ParallelFor& run) {
  const auto choose = [&scheme](uint32_t /*n*/, uint32_t /*g*/,
                                std::span<const float> values) {
    return format::choose_integer_scale(scheme, format::range_of(values));
  };
  return round_rows(scheme, N, K, rows, choose, run);
}

}  // namespace tessera::quant
