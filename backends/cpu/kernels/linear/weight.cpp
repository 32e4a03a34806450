// SPDX-License-Identifier: Apache-2.0
//
// Which layout a weight takes, and opening it.

#include "backends/cpu/kernels/linear/weight.hpp"

#include <cmath>
#include <string>

#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"
#include "backends/cpu/kernels/linear/sparse/sparse_pack.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "tessera/error.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// The tiled layout of a format; kRaw if it has none.
Layout tiled_layout(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
      return Layout::kI8Tiles;
    case TSR_WEIGHT_SPARSE_FIXED:
      return Layout::kSparseTiles;
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return Layout::kU4Tiles;
    default:
      return tile_format_index(format) < kNumTileFormats ? Layout::kFormatTiles
                                                         : Layout::kRaw;
  }
}

Layout choose_layout(const tsr_weight_desc& desc, const WeightShape& shape) {
  const Layout layout = tiled_layout(desc.format);
  if (layout == Layout::kRaw) return layout;
  const TileFormat& row = kTileFormats[tile_format_index(desc.format)];
  if (row.group != 0 || row.scales == Scales::kNone) return layout;
  if (exists(find_plane(desc, TSR_PLANE_MIN))) return Layout::kRaw;
  // Groups must not cut through the columns that a tile keeps together.
  const int64_t together = 32 / code_bits(row.codes);
  const bool whole_groups =
      shape.num_groups == 1 || shape.group_size % together == 0;
  return whole_groups ? layout : Layout::kRaw;
}

int64_t columns_multiple(Layout layout) {
  if (layout == Layout::kI8Tiles || layout == Layout::kSparseTiles) return 64;
  return layout == Layout::kU4Tiles ? 8 : 32;
}

// Bytes of the scales of 16 rows.
int64_t scale_bytes(const TileFormat& row, const WeightShape& shape) {
  switch (row.scales) {
    case Scales::kNone:
      return 0;
    case Scales::kF32:
      return shape.num_groups * kTileCols * 4;
    case Scales::kF16:
      return shape.num_groups * kTileCols * 2;
    case Scales::kE8M0:
    case Scales::kF8E4M3:
      return shape.num_groups * kTileCols;
    case Scales::kQ4K:
      return shape.K / 256 * kQ4KScaleBytes;
    case Scales::kQ6K:
      return shape.K / 256 * kQ6KScaleBytes;
  }
  return 0;
}

int64_t book_bytes(const WeightShape& shape) {
  return round_up(shape.N, kSparseRows) / kSparseRows *
         (round_up(shape.K, kSparseCols) / kSparseCols) * kBookBytes;
}

void place_sections(WeightShape& shape) {
  const TileFormat& row = kTileFormats[shape.tile_format];
  const bool is_sparse = shape.layout == Layout::kSparseTiles;
  const bool is_i8 = shape.layout == Layout::kI8Tiles;
  shape.padded_K = round_up(shape.K, columns_multiple(shape.layout));
  const int64_t cells = shape.padded_K * kTileCols;
  shape.tile_bytes = cells * (is_sparse ? 4 : code_bits(row.codes)) / 8;
  shape.high_tile_bytes = cells * row.high_bits / 8;
  shape.scale_tile_bytes = scale_bytes(row, shape);

  size_t end = 0;
  const auto place = [&end](bool present, int64_t bytes) {
    const size_t begin = end;
    if (present) end += static_cast<size_t>(round_up(bytes, 64));
    return begin;
  };
  const int64_t tiles = shape.num_tiles();
  const int64_t blocked = tiles * shape.num_groups * kTileCols;
  const bool has_mins = row.has_mins && row.scales == Scales::kF16;
  place(true, tiles * shape.tile_bytes);
  shape.high_offset = place(true, tiles * shape.high_tile_bytes);
  shape.books_offset = place(is_sparse, book_bytes(shape));
  shape.escapes_offset = place(is_sparse, shape.num_escapes + 64);
  shape.starts_offset = place(is_sparse, tiles * 8);
  shape.sums_offset = place(is_i8 || is_sparse, blocked * 4);
  shape.scales_offset = place(true, tiles * shape.scale_tile_bytes);
  shape.mins_offset = place(has_mins, blocked * 2);
  shape.zeros_offset = place(shape.has_zeros, blocked * 4);
  shape.scale2_offset = place(shape.has_scale2, tiles * kTileCols * 4);
  shape.packed_bytes = end;
}

// A plane of one row or one column.
template <typename T>
std::vector<T> vector_plane(const tsr_weight_desc& desc, uint32_t role) {
  std::vector<T> values;
  const tsr_plane plane = find_plane(desc, role);
  if (!exists(plane)) return values;
  if (plane.data == nullptr) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "plane of role " + std::to_string(role) + " has no data");
  }
  values.reserve(size_t{plane.rows} * plane.cols);
  for (int64_t row = 0; row < plane.rows; ++row) {
    for (int64_t col = 0; col < plane.cols; ++col) {
      values.push_back(load_as<T>(plane_row(plane, row), col));
    }
  }
  return values;
}

void read_small_planes(const tsr_weight_desc& desc, LinearWeight& weight) {
  weight.permutation = vector_plane<int32_t>(desc, TSR_PLANE_PERMUTATION);
  for (const int32_t feature : weight.permutation) {
    if (feature < 0 || feature >= weight.shape.K) {
      throw sdk::Error(TSR_INVALID_ARGUMENT,
                       "permutation names feature " + std::to_string(feature) +
                           " of " + std::to_string(weight.shape.K));
    }
  }
  weight.input_multiplier =
      vector_plane<float>(desc, TSR_PLANE_INPUT_MULTIPLIER);
  weight.quant_bias = vector_plane<int32_t>(desc, TSR_PLANE_QUANT_BIAS);

  const auto scale = vector_plane<float>(desc, TSR_PLANE_ACT_SCALE);
  const auto inv = vector_plane<float>(desc, TSR_PLANE_ACT_INV);
  const auto zero = vector_plane<int32_t>(desc, TSR_PLANE_ACT_ZERO_POINT);
  if (scale.empty() || inv.empty()) return;
  if (!std::isfinite(scale[0]) || !std::isfinite(inv[0])) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "act_scale " + std::to_string(scale[0]) + ", act_inv " +
                         std::to_string(inv[0]));
  }
  weight.static_activation =
      StaticActivation{scale[0], inv[0], zero.empty() ? 0 : zero[0]};
}

tsr_plane data_plane(const tsr_weight_desc& desc, uint32_t role) {
  const tsr_plane plane = find_plane(desc, role);
  if (exists(plane) && plane.data == nullptr) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "plane of role " + std::to_string(role) + " has no data");
  }
  return plane;
}

void open_packed(const std::byte* packed, LinearWeight& weight) {
  const WeightShape& shape = weight.shape;
  if (packed == nullptr ||
      reinterpret_cast<uintptr_t>(packed) % kPackedAlignment != 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "packed weight is not aligned to " +
                         std::to_string(kPackedAlignment) + " bytes");
  }
  const auto floats = [&](size_t offset) {
    return reinterpret_cast<const float*>(packed + offset);
  };
  weight.codes = packed;
  if (shape.layout == Layout::kSparseTiles) {
    weight.books = packed + shape.books_offset;
    weight.escapes = packed + shape.escapes_offset;
    weight.starts =
        reinterpret_cast<const int64_t*>(packed + shape.starts_offset);
  }
  if (shape.layout == Layout::kI8Tiles ||
      shape.layout == Layout::kSparseTiles) {
    weight.sums = reinterpret_cast<const int32_t*>(packed + shape.sums_offset);
  }
  const TileFormat& row = kTileFormats[shape.tile_format];
  if (row.high_bits != 0) weight.high = packed + shape.high_offset;
  if (row.scales != Scales::kNone) {
    weight.scale_codes = packed + shape.scales_offset;
  }
  if (row.scales == Scales::kF32) weight.scales = floats(shape.scales_offset);
  if (row.has_mins) weight.mins = packed + shape.mins_offset;
  if (shape.has_zeros) weight.zeros = floats(shape.zeros_offset);
  if (shape.has_scale2) weight.scale2 = floats(shape.scale2_offset);
}

}  // namespace

WeightShape weight_shape(const tsr_weight_desc& desc) {
  check_planes(desc);
  WeightShape shape;
  shape.format = desc.format;
  shape.N = desc.N;
  shape.K = desc.K;
  shape.group_size = desc.K;
  const tsr_plane scale = find_plane(desc, TSR_PLANE_SCALE);
  if (exists(scale) && scale.cols > 1) {
    shape.group_size = scale.block_k;
    shape.num_groups = scale.cols;
  }
  shape.has_zeros = exists(find_plane(desc, TSR_PLANE_ZERO_POINT));
  shape.has_scale2 = exists(find_plane(desc, TSR_PLANE_SCALE2));
  shape.layout = choose_layout(desc, shape);
  if (shape.layout == Layout::kRaw) return shape;
  shape.tile_format = tile_format_index(desc.format);
  const int group = kTileFormats[shape.tile_format].group;
  if (group != 0) {
    shape.group_size = group;
    shape.num_groups = (shape.K + group - 1) / group;
  }
  if (shape.layout == Layout::kSparseTiles) {
    shape.num_escapes =
        max_escapes(find_plane(desc, TSR_PLANE_CODES).cols, shape.N, shape.K);
  }
  place_sections(shape);
  return shape;
}

bool LinearWeight::has_dense_rows() const {
  uint64_t size = 0;
  if (shape.format == TSR_WEIGHT_F32) size = 4;
  if (shape.format == TSR_WEIGHT_F16) size = 2;
  return size != 0 && raw_codes.row_bytes % size == 0 &&
         reinterpret_cast<uintptr_t>(raw_codes.data) % size == 0;
}

LinearWeight open_weight(const tsr_weight_desc& desc, const void* packed) {
  LinearWeight weight;
  weight.shape = weight_shape(desc);
  read_small_planes(desc, weight);
  if (weight.shape.layout != Layout::kRaw) {
    open_packed(static_cast<const std::byte*>(packed), weight);
    return weight;
  }
  weight.raw_codes = data_plane(desc, TSR_PLANE_CODES);
  weight.raw_scale = data_plane(desc, TSR_PLANE_SCALE);
  weight.raw_scale2 = data_plane(desc, TSR_PLANE_SCALE2);
  weight.raw_zero_point = data_plane(desc, TSR_PLANE_ZERO_POINT);
  weight.raw_min = data_plane(desc, TSR_PLANE_MIN);
  return weight;
}

}  // namespace tessera::cpu
