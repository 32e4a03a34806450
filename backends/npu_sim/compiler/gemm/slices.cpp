// SPDX-License-Identifier: Apache-2.0
//
// A slice is columns of one weight, or weights of several parts.

#include "backends/npu_sim/compiler/gemm/slices.hpp"

#include <algorithm>
#include <utility>

#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;
// Of L2, what a slice may take: inputs and results need room beside it.
constexpr int64_t kL2Parts[] = {2, 4};

bool is_sliced(const GemmPlan& plan) {
  return plan.kind.widens_weight && plan.tiling.wide_n > 0 &&
         plan.tiling.wide_n <
             plan.gemm.N * static_cast<int64_t>(plan.parts.size());
}

WeightSlice whole_of(const GemmPlan& plan) {
  WeightSlice slice;
  slice.num_parts = static_cast<int64_t>(plan.parts.size());
  slice.columns = plan.gemm.N;
  slice.elements = weight_elements(plan) * slice.num_parts;
  return slice;
}

bool has_rows(const GemmPlan& plan, int64_t first, int64_t count) {
  for (int64_t i = first; i < first + count; ++i) {
    if (plan.parts[static_cast<size_t>(i)].M > 0) return true;
  }
  return false;
}

void add_columns(const GemmPlan& plan, int64_t part,
                 std::vector<WeightSlice>& slices) {
  const int64_t all = weight_elements(plan);
  for (int64_t n = 0; n < plan.gemm.N; n += plan.tiling.wide_n) {
    WeightSlice slice;
    slice.index = static_cast<int64_t>(slices.size());
    slice.first_part = part;
    slice.first_column = n;
    slice.columns = std::min(plan.tiling.wide_n, plan.gemm.N - n);
    const int64_t end = n + slice.columns < plan.gemm.N
                            ? (n + slice.columns) * plan.gemm.K
                            : all;
    slice.first_element = part * all + n * plan.gemm.K;
    slice.elements = end - n * plan.gemm.K;
    slices.push_back(slice);
  }
}

}  // namespace

bool has_column_slices(const GemmPlan& plan) {
  return plan.gemm.layout == WeightLayout::kNz || plan.gemm.weight_is_nk;
}

std::vector<WeightSlice> slices_of(const GemmPlan& plan) {
  if (!is_sliced(plan)) return {whole_of(plan)};
  const auto num_parts = static_cast<int64_t>(plan.parts.size());
  const int64_t parts_each =
      std::max<int64_t>(1, plan.tiling.wide_n / plan.gemm.N);
  std::vector<WeightSlice> slices;
  for (int64_t part = 0; part < num_parts; part += parts_each) {
    const int64_t count = std::min(parts_each, num_parts - part);
    if (!has_rows(plan, part, count)) continue;
    if (plan.tiling.wide_n < plan.gemm.N) {
      add_columns(plan, part, slices);
      continue;
    }
    WeightSlice slice = whole_of(plan);
    slice.index = static_cast<int64_t>(slices.size());
    slice.first_part = part;
    slice.num_parts = count;
    slice.first_element = part * weight_elements(plan);
    slice.elements = count * weight_elements(plan);
    slices.push_back(slice);
  }
  return slices;
}

std::vector<int64_t> slice_sizes(const Profile& profile, const GemmPlan& plan) {
  std::vector<int64_t> sizes;
  if (!plan.kind.widens_weight) return sizes;
  const int64_t column = bytes_of_elements(plan.kind.cube, plan.gemm.K);
  const auto num_parts = static_cast<int64_t>(plan.parts.size());
  for (const int64_t parts : kL2Parts) {
    const int64_t most = profile.global.l2_bytes / parts / column;
    if (most >= plan.gemm.N * num_parts) continue;
    if (most >= plan.gemm.N) {
      const int64_t each = most / plan.gemm.N;
      sizes.push_back(plan.gemm.N *
                      ceil_div(num_parts, ceil_div(num_parts, each)));
    } else if (has_column_slices(plan)) {
      // Each core has its share of every slice, and slices are equal.
      const int64_t unit = kFractalRows * 2 * plan.cores;
      const int64_t count =
          ceil_div(plan.gemm.N, std::max(unit, most / unit * unit));
      sizes.push_back(round_up(ceil_div(plan.gemm.N, count), unit));
    }
  }
  return sizes;
}

namespace {

constexpr size_t kMostSamples = 6;

int64_t rows_of(const GemmPlan& plan, const WeightSlice& slice) {
  int64_t rows = 0;
  for (int64_t i = 0; i < slice.num_parts; ++i) {
    rows += plan.parts[static_cast<size_t>(slice.first_part + i)].M;
  }
  return rows;
}

GemmPlan plan_of(const GemmPlan& plan, const WeightSlice& slice) {
  GemmPlan one = plan;
  one.tiling.wide_n = 0;
  one.is_later_slice = true;
  one.gemm.N = slice.columns;
  one.gemm.M = 0;
  const auto first = plan.parts.begin() + slice.first_part;
  one.parts.assign(first, first + slice.num_parts);
  for (GemmPart& part : one.parts) {
    part.row_begin = one.gemm.M;
    one.gemm.M += part.M;
  }
  return one;
}

}  // namespace

std::vector<SliceSample> sample_slices(const GemmPlan& plan) {
  if (!is_sliced(plan)) {
    GemmPlan one = plan;
    one.tiling.wide_n = 0;
    return {{one, 1}};
  }
  // Of the columns of one weight all cost the same.
  std::vector<std::pair<int64_t, WeightSlice>> slices;
  for (const WeightSlice& slice : slices_of(plan)) {
    if (slice.first_column == 0) {
      slices.emplace_back(rows_of(plan, slice), slice);
    }
  }
  std::stable_sort(
      slices.begin(), slices.end(),
      [](const auto& a, const auto& b) { return a.first > b.first; });
  const double columns = plan.tiling.wide_n < plan.gemm.N
                             ? static_cast<double>(plan.gemm.N) /
                                   static_cast<double>(plan.tiling.wide_n)
                             : 1;
  // The heaviest by itself, then some of the rest, evenly.
  const size_t rest = slices.size() - 1;
  const size_t sampled = std::min(rest, kMostSamples - 1);
  std::vector<SliceSample> samples = {
      {plan_of(plan, slices.front().second), columns}};
  for (size_t i = 0; i < sampled; ++i) {
    const size_t at = 1 + (2 * i + 1) * rest / (2 * sampled);
    samples.push_back(
        {plan_of(plan, slices[at].second),
         columns * static_cast<double>(rest) / static_cast<double>(sampled)});
  }
  return samples;
}

}  // namespace tessera::npu
