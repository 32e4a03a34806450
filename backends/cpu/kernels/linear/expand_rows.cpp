// SPDX-License-Identifier: Apache-2.0

#include "backends/cpu/kernels/linear/expand_rows.hpp"

#include <algorithm>

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

LinearWeight expand_u4(const LinearWeight& weight, int64_t n, int64_t num_rows,
                       const ExpandScratch& scratch) {
  LinearWeight rows = expanded_weight(weight, n, num_rows, scratch.codes);
  rows.sums = scratch.sums;
  const WeightShape& shape = weight.shape;
  for (int64_t t = 0; t * kTileCols < num_rows; ++t) {
    const auto* nibbles = reinterpret_cast<const uint8_t*>(weight.codes) +
                          (n / kTileCols + t) * shape.tile_bytes;
    for (int64_t g = 0; g < shape.num_groups; ++g) {
      const int64_t begin = g * shape.group_size;
      const int64_t end = std::min(begin + shape.group_size, shape.K);
      expand_u4_group_avx512vnni(
          nibbles, {begin, end}, scratch.codes + t * rows.shape.tile_bytes,
          scratch.sums + (t * shape.num_groups + g) * kTileCols);
    }
  }
  return rows;
}

}  // namespace tessera::cpu
