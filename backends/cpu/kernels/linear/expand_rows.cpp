// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/expand_rows.hpp"

namespace tessera::cpu {

WeightShape expanded_shape(const WeightShape& shape) {
  WeightShape expanded = shape;
  expanded.layout = Layout::kI8Tiles;
  expanded.tile_bytes = (shape.padded_K + 63) / 64 * 64 * kTileCols;
  return expanded;
}

LinearWeight expanded_weight(const LinearWeight& weight, int64_t n,
                             int64_t num_rows, const uint8_t* codes) {
  LinearWeight rows;
  rows.shape = expanded_shape(weight.shape);
  rows.shape.N = num_rows;
  rows.codes = reinterpret_cast<const std::byte*>(codes);
  rows.scales = weight.scales + n * weight.shape.num_groups;
  rows.scale_codes = reinterpret_cast<const std::byte*>(rows.scales);
  return rows;
}

}  // namespace tessera::cpu
