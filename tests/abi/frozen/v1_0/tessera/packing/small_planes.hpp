// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/small_planes.hpp - the planes of a weight that its packed
// tiles do not hold, and what they allow.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tessera/error.hpp"
#include "tessera/packing/plane_data.hpp"
#include "tessera/packing/weight_shape.hpp"

namespace tessera::sdk::packing {

// Static activations: numerics.md section 1.
struct StaticActivation {
  float scale = 0.0f;
  float inv = 0.0f;
  int32_t zero_point = 0;
};

// Empty where the weight has no such plane.
struct SmallPlanes {
  std::vector<int32_t> permutation;     // [K]
  std::vector<float> input_multiplier;  // [K]
  std::vector<int32_t> quant_bias;      // [N rounded up to tiles]
  std::optional<StaticActivation> static_activation;
};

namespace detail {

// A plane of one row or one column.
template <typename T>
std::vector<T> vector_plane(const tsr_weight_desc& desc, uint32_t role) {
  std::vector<T> values;
  const tsr_plane plane = find_plane(desc, role);
  if (!exists(plane)) return values;
  if (plane.data == nullptr) {
    throw Error(TSR_INVALID_ARGUMENT,
                "plane of role " + std::to_string(role) + " has no data");
  }
  values.reserve(size_t{plane.rows} * plane.cols);
  for (uint32_t row = 0; row < plane.rows; ++row) {
    for (uint32_t col = 0; col < plane.cols; ++col) {
      values.push_back(load_as<T>(plane_row(plane, row), col));
    }
  }
  return values;
}

inline std::optional<StaticActivation> read_static_activation(
    const tsr_weight_desc& desc) {
  const auto scale = vector_plane<float>(desc, TSR_PLANE_ACT_SCALE);
  const auto inv = vector_plane<float>(desc, TSR_PLANE_ACT_INV);
  const auto zero = vector_plane<int32_t>(desc, TSR_PLANE_ACT_ZERO_POINT);
  if (scale.empty() || inv.empty()) return std::nullopt;
  if (!std::isfinite(scale[0]) || !std::isfinite(inv[0])) {
    throw Error(TSR_INVALID_ARGUMENT, "act_scale " + std::to_string(scale[0]) +
                                          ", act_inv " +
                                          std::to_string(inv[0]));
  }
  return StaticActivation{scale[0], inv[0], zero.empty() ? 0 : zero[0]};
}

[[noreturn]] inline void refuse_linear(const std::string& why) {
  throw Error(TSR_INVALID_ARGUMENT, "linear: " + why);
}

}  // namespace detail

// Requires  the planes carry data
// Errors    throws INVALID_ARGUMENT if a permutation names a feature outside K,
//           or a static scale makes no sense
inline SmallPlanes read_small_planes(const tsr_weight_desc& desc,
                                     const WeightShape& shape) {
  SmallPlanes planes;
  planes.permutation =
      detail::vector_plane<int32_t>(desc, TSR_PLANE_PERMUTATION);
  for (const int32_t feature : planes.permutation) {
    if (feature < 0 || static_cast<uint32_t>(feature) >= shape.K) {
      throw Error(TSR_INVALID_ARGUMENT, "permutation names feature " +
                                            std::to_string(feature) + " of " +
                                            std::to_string(shape.K));
    }
  }
  planes.input_multiplier =
      detail::vector_plane<float>(desc, TSR_PLANE_INPUT_MULTIPLIER);
  planes.quant_bias = detail::vector_plane<int32_t>(desc, TSR_PLANE_QUANT_BIAS);
  if (!planes.quant_bias.empty()) {
    planes.quant_bias.resize(size_t{shape.num_tiles()} * shape.layout.rows);
  }
  planes.static_activation = detail::read_static_activation(desc);
  return planes;
}

// True if products are of integers.
inline bool is_integer_act(uint32_t act_quant) {
  return act_quant != TSR_ACT_FLOAT && act_quant <= TSR_ACT_I4_DYNAMIC;
}

inline bool uses_static_act(uint32_t act_quant) {
  return act_quant == TSR_ACT_I8_STATIC || act_quant == TSR_ACT_U8_STATIC ||
         act_quant == TSR_ACT_I8_MIX;
}

// What rows of a capability table cannot say.  `is_partial`: y is raw i32 sums.
//
// Errors  throws INVALID_ARGUMENT, saying why
inline void check_linear(const WeightShape& shape,
                         const std::optional<StaticActivation>& activation,
                         uint32_t act_quant, bool is_partial) {
  if (!is_integer_act(act_quant)) {
    if (!is_partial) return;
    detail::refuse_linear("i32 accumulators of a float act_quant");
  }
  int64_t largest_x = act_quant == TSR_ACT_I4_DYNAMIC ? 7 : 127;
  if (uses_static_act(act_quant)) {
    if (!activation) {
      detail::refuse_linear(
          "static activations without planes act_scale and act_inv");
    }
    const int32_t zero = activation->zero_point;
    const int32_t lo = act_quant == TSR_ACT_U8_STATIC ? 0 : -128;
    if (zero < lo || zero > lo + 255) {
      detail::refuse_linear("act_zero_point " + std::to_string(zero) +
                            " is not a code");
    }
    largest_x = std::max({int64_t{lo} + 255 - zero, int64_t{zero} - lo,
                          act_quant == TSR_ACT_I8_MIX ? int64_t{127} : 0});
  }
  const int64_t largest =
      std::numeric_limits<int32_t>::max() / (largest_x * shape.max_integer());
  if (shape.group_size > largest) {
    detail::refuse_linear("K=" + std::to_string(shape.K) +
                          " could overflow an i32 accumulator; at most " +
                          std::to_string(largest) + " in a group");
  }
  if (is_partial && !shape.is_per_channel()) {
    detail::refuse_linear("a weight with groups of " +
                          std::to_string(shape.group_size) +
                          " has no single accumulator");
  }
}

}  // namespace tessera::sdk::packing
