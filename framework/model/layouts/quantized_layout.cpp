// SPDX-License-Identifier: Apache-2.0
//
// What the layouts share: looking up tensors, and laying out planes.

#include "framework/model/layouts/quantized_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "framework/format/element.hpp"
#include "framework/tensor/dtype.hpp"

namespace tessera {
namespace {

bool has_shape(const TensorView& view, uint64_t rows, uint64_t cols) {
  switch (view.shape.size()) {
    case 0:
      return rows == 1 && cols == 1;
    case 1:
      return view.shape[0] == rows && cols == 1;
    case 2:
      return view.shape[0] == rows && view.shape[1] == cols;
    default:
      return false;
  }
}

void store_i32(format::Plane& plane, size_t index, int32_t value) {
  format::store_element(plane.owned.data(), index, value);
}

}  // namespace

Status ModuleTensors::error(const std::string& part,
                            const std::string& problem) const {
  return {TSR_INVALID_ARGUMENT,
          fmt::format("tensor {}.{}: {}", module_, part, problem)};
}

Result<const TensorView*> ModuleTensors::get(
    const std::string& part, std::initializer_list<uint32_t> dtypes) const {
  const TensorView* const view = find(part);
  if (view == nullptr) {
    return Status(TSR_NOT_FOUND, fmt::format("no tensor {}.{}", module_, part));
  }
  if (std::find(dtypes.begin(), dtypes.end(), view->dtype) == dtypes.end()) {
    return error(part, fmt::format("{} is not expected", view->dtype_name));
  }
  return view;
}

Result<const TensorView*> ModuleTensors::get(
    const std::string& part, std::initializer_list<uint32_t> dtypes,
    uint64_t rows, uint64_t cols) const {
  TSR_ASSIGN_OR_RETURN(const TensorView* const view, get(part, dtypes));
  if (has_shape(*view, rows, cols)) return view;
  return error(part, fmt::format("shape {} is not [{}, {}]",
                                 shape_text(view->shape), rows, cols));
}

Result<std::pair<uint32_t, uint32_t>> matrix_shape(const TensorView& view) {
  constexpr uint64_t kMax = INT32_MAX;
  if (view.shape.size() == 2 && view.shape[0] - 1 < kMax &&
      view.shape[1] - 1 < kMax) {
    return std::pair(static_cast<uint32_t>(view.shape[0]),
                     static_cast<uint32_t>(view.shape[1]));
  }
  return Status(TSR_INVALID_ARGUMENT,
                fmt::format("tensor {}: {} is not the shape of a matrix",
                            view.name, shape_text(view.shape)));
}

format::Plane make_plane(uint32_t role, uint32_t dtype, uint32_t rows,
                         uint32_t cols) {
  format::Plane plane{role, dtype, rows, cols, 0, 0, {}, {}};
  plane.owned.resize(rows * dtype_bytes(dtype, cols));
  return plane;
}

format::WeightData make_integer_weight(const StoredLinear& stored,
                                       uint32_t scale_dtype,
                                       uint32_t scale_rows) {
  const LinearChoice& choice = stored.choice;
  const bool nibbles =
      choice.format == TSR_WEIGHT_I4 || choice.format == TSR_WEIGHT_U4;
  const bool is_signed =
      choice.format == TSR_WEIGHT_I4 || choice.format == TSR_WEIGHT_I8;
  const uint32_t wide = is_signed ? TSR_I8 : TSR_U8;
  const uint32_t narrow = is_signed ? TSR_I4 : TSR_U4;
  const uint32_t groups = count_groups(stored.K, choice.group_size);
  format::WeightData weight{choice.format, stored.N, stored.K, {}};
  weight.planes.push_back(
      make_plane(TSR_PLANE_CODES, nibbles ? narrow : wide, stored.N, stored.K));
  weight.planes.back().block_n = 1;
  weight.planes.back().block_k = 1;
  const auto add_blocked = [&](uint32_t role, uint32_t dtype) {
    format::Plane plane = make_plane(role, dtype, scale_rows, groups);
    plane.block_n = scale_rows == 1 ? stored.N : 1;
    plane.block_k = choice.group_size == 0 ? stored.K : choice.group_size;
    weight.planes.push_back(std::move(plane));
  };
  add_blocked(TSR_PLANE_SCALE, scale_dtype);
  if (!choice.symmetric) add_blocked(TSR_PLANE_ZERO_POINT, wide);
  return weight;
}

int32_t code_offset(uint32_t format) {
  if (format == TSR_WEIGHT_U4) return 8;
  return format == TSR_WEIGHT_U8 ? 128 : 0;
}

Result<std::vector<int32_t>> order_of_groups(std::span<const int32_t> group_of,
                                             uint32_t group_size) {
  std::vector<int32_t> order(group_of.size());
  std::iota(order.begin(), order.end(), 0);
  const auto group = [&](int32_t k) {
    return group_of[static_cast<size_t>(k)];
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return group(a) < group(b); });
  for (size_t k = 0; k < order.size(); ++k) {
    const size_t expected = group_size == 0 ? 0 : k / group_size;
    if (group(order[k]) != static_cast<int32_t>(expected)) {
      return Status(TSR_INVALID_ARGUMENT,
                    fmt::format("column {} is in group {}, but groups have {} "
                                "columns",
                                order[k], group(order[k]), group_size));
    }
  }
  if (std::is_sorted(order.begin(), order.end())) order.clear();
  return order;
}

void add_permutation(std::span<const int32_t> order,
                     format::WeightData* weight) {
  if (order.empty()) return;
  format::Plane plane =
      make_plane(TSR_PLANE_PERMUTATION, TSR_I32, 1, weight->K);
  std::memcpy(plane.owned.data(), order.data(), order.size_bytes());
  weight->planes.push_back(std::move(plane));
}

Status add_static_scale(float scale, int32_t zero_point,
                        format::WeightData* weight) {
  if (!(scale > 0.0f) || !std::isfinite(scale)) {
    return {TSR_INVALID_ARGUMENT,
            fmt::format("input scale {} is not positive", scale)};
  }
  format::Plane plane = make_plane(TSR_PLANE_ACT_SCALE, TSR_F32, 1, 1);
  format::store_element(plane.owned.data(), 0, scale);
  weight->planes.push_back(plane);
  plane.role = TSR_PLANE_ACT_INV;
  format::store_element(plane.owned.data(), 0, 1.0f / scale);
  weight->planes.push_back(plane);
  if (zero_point == 0) return {};
  plane.role = TSR_PLANE_ACT_ZERO_POINT;
  plane.dtype = TSR_I32;
  store_i32(plane, 0, zero_point);
  weight->planes.push_back(std::move(plane));
  return {};
}

double tensor_value(const TensorView& view, uint64_t index) {
  return format::element_value(view.dtype, view.data.data(), index);
}

}  // namespace tessera
