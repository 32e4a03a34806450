// SPDX-License-Identifier: Apache-2.0

#include "backends/opencl/packing/weight_shape.hpp"

#include "backends/opencl/packing/gguf_block.hpp"
#include "backends/opencl/packing/planes.hpp"

namespace tessera::opencl {
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
  const uint32_t pair = shape.is_nibble() ? 2 : 1;
  shape.padded_group = (shape.group_size + pair - 1) / pair * pair;
  const uint64_t columns = uint64_t{shape.num_groups} * shape.padded_group;
  shape.tile_bytes = align128(columns * kTileRows * code_bits(shape.code) / 8);

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

std::string kernel_constants(const WeightShape& shape, bool is_integer) {
  const auto define = [](const char* name, uint32_t value) {
    return std::string("-D") + name + "=" + std::to_string(value) + " ";
  };
  return define("CODE", static_cast<uint32_t>(shape.code)) +
         define("CODE_ZERO", shape.code_zero) +
         define("SCALE_BITS", shape.scale_bits) +
         define("HAS_ZERO", shape.has_zeros ? 1 : 0) +
         define("HAS_MIN", shape.has_mins ? 1 : 0) +
         define("INTEGER", is_integer ? 1 : 0) +
         define("GROUPED", shape.is_per_channel() ? 0 : 1);
}

}  // namespace tessera::opencl
