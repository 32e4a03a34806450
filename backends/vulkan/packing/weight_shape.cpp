// SPDX-License-Identifier: Apache-2.0

#include "backends/vulkan/packing/weight_shape.hpp"

#include "backends/vulkan/packing/gguf_block.hpp"
#include "backends/vulkan/packing/planes.hpp"

namespace tessera::vulkan {
namespace {

uint64_t align128(uint64_t bytes) { return (bytes + 127) / 128 * 128; }

Code code_of(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_F32:
      return Code::kF32;
    case TSR_WEIGHT_F16:
      return Code::kF16;
    case TSR_WEIGHT_BF16:
      return Code::kBf16;
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
      return Code::kU4;
    case TSR_WEIGHT_F8E4M3:
      return Code::kE4m3;
    case TSR_WEIGHT_F8E5M2:
      return Code::kE5m2;
    case TSR_WEIGHT_F4E2M1:
    case TSR_WEIGHT_MXFP4:
    case TSR_WEIGHT_NVFP4:
      return Code::kE2m1;
    default:
      return Code::kS8;
  }
}

uint32_t code_bits(Code code) {
  switch (code) {
    case Code::kF32:
      return 32;
    case Code::kF16:
    case Code::kBf16:
      return 16;
    case Code::kU4:
    case Code::kE2m1:
      return 4;
    default:
      return 8;
  }
}

void read_gguf(const GgufBlock& block, WeightShape& shape) {
  shape.code = block.is_nibble ? Code::kU4 : Code::kS8;
  shape.code_zero = static_cast<uint32_t>(block.code_zero);
  shape.group_size = block.group;
  shape.has_mins = block.has_min;
  // Scales of blocks of 32 are f16 as they stand; the others are products.
  shape.scale_bits = block.values == 32 && !block.has_min ? 16 : 32;
}

void read_scaled(const tsr_weight_desc& desc, WeightShape& shape) {
  shape.code = code_of(desc.format);
  const tsr_plane scale = find_plane(desc, TSR_PLANE_SCALE);
  shape.has_zeros = exists(find_plane(desc, TSR_PLANE_ZERO_POINT));
  shape.has_scale2 = exists(find_plane(desc, TSR_PLANE_SCALE2));
  if (shape.code == Code::kU4 && !shape.has_zeros) shape.code_zero = 8;
  if (!exists(scale)) return;
  shape.scale_bits = scale.dtype == TSR_F16 ? 16 : 32;
  if (scale.cols > 1) shape.group_size = scale.block_k;
}

void place_sections(WeightShape& shape) {
  shape.num_groups = (shape.K + shape.group_size - 1) / shape.group_size;
  // Short groups of nibbles would leave half of a large chunk empty.
  const bool is_short = shape.is_nibble() && shape.group_size <= 16;
  shape.chunk_words = is_short ? 2 : 4;
  const uint32_t chunk = shape.chunk_values();
  shape.padded_group = (shape.group_size + chunk - 1) / chunk * chunk;
  shape.tile_bytes =
      uint64_t{shape.columns()} * kTileRows * code_bits(shape.code) / 8;

  uint64_t end = shape.num_tiles() * shape.tile_bytes;
  const auto place = [&end](bool present, uint64_t bytes) {
    const uint64_t begin = end;
    if (present) end += align128(bytes);
    return begin;
  };
  const uint64_t rows = uint64_t{shape.num_tiles()} * kTileRows;
  const uint64_t blocked = rows * shape.num_groups;
  shape.scales_offset =
      place(shape.scale_bits != 0, blocked * shape.scale_bits / 8);
  shape.zeros_offset = place(shape.has_zeros, blocked * 4);
  shape.mins_offset = place(shape.has_mins, blocked * 4);
  shape.scale2_offset = place(shape.has_scale2, rows * 4);
  shape.packed_bytes = end;
}

}  // namespace

uint32_t WeightShape::chunk_values() const {
  return chunk_words * 32 / code_bits(code);
}

bool WeightShape::has_integers() const {
  return format == TSR_WEIGHT_I8 || format == TSR_WEIGHT_U8 ||
         format == TSR_WEIGHT_I4 || format == TSR_WEIGHT_U4 ||
         format == TSR_WEIGHT_SPARSE_FIXED;
}

int64_t WeightShape::max_integer() const {
  if (code == Code::kU4) return has_zeros ? 255 : 8;
  return has_zeros ? 255 : 128;
}

WeightShape weight_shape(const tsr_weight_desc& desc) {
  check_planes(desc);
  WeightShape shape;
  shape.format = desc.format;
  shape.N = desc.N;
  shape.K = desc.K;
  shape.group_size = desc.K;
  if (const GgufBlock* block = find_gguf_block(desc.format)) {
    read_gguf(*block, shape);
  } else {
    read_scaled(desc, shape);
  }
  place_sections(shape);
  return shape;
}

std::vector<uint32_t> linear_constants(const WeightShape& shape,
                                       bool is_integer) {
  return {static_cast<uint32_t>(shape.code),
          shape.code_zero,
          shape.chunk_words,
          shape.scale_bits,
          shape.has_zeros ? 1U : 0U,
          shape.has_mins ? 1U : 0U,
          is_integer ? 1U : 0U,
          shape.is_per_channel() ? 0U : 1U};
}

}  // namespace tessera::vulkan
