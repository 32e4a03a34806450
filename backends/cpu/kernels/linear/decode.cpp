// SPDX-License-Identifier: Apache-2.0
//
// The formulas of types.h, line by line.  Products are in double, where they
// are exact or nearly so, and rounded once.

#include "backends/cpu/kernels/linear/decode.hpp"

#include <algorithm>

#include "backends/cpu/kernels/linear/decode_gguf.hpp"
#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "backends/cpu/kernels/ops/convert.hpp"

namespace tessera::cpu {
namespace {

int byte_at(const std::byte* block, int64_t offset) {
  return std::to_integer<int>(block[offset]);
}

// Whole blocks; the last one may reach past k_end.
void decode_blocks(const GgufBlock& format, const std::byte* block,
                   int64_t count, float* out) {
  for (int64_t k = 0; k < count; k += format.values, block += format.bytes) {
    if (k + format.values <= count) {
      decode_gguf_block(format.format, block, out + k);
      continue;
    }
    float values[kDecodeColumns];
    decode_gguf_block(format.format, block, values);
    std::copy_n(values, count - k, out + k);
  }
}

double raw_zero_point(const LinearWeight& weight, int64_t n, int64_t k) {
  const tsr_plane& zero = weight.raw_zero_point;
  if (exists(zero)) {  // same blocks as SCALE
    return element_f32(zero.dtype,
                       plane_row(zero, n / weight.raw_scale.block_n),
                       k / weight.raw_scale.block_k);
  }
  if (exists(weight.raw_min)) return 0.0;
  if (weight.shape.format == TSR_WEIGHT_U8) return 128.0;
  if (weight.shape.format == TSR_WEIGHT_U4) return 8.0;
  return 0.0;
}

void decode_scaled_row(const LinearWeight& weight, int64_t n, int64_t k_begin,
                       int64_t k_end, float* out) {
  const std::byte* codes = plane_row(weight.raw_codes, n);
  const tsr_plane& scale = weight.raw_scale;
  const tsr_plane& min = weight.raw_min;
  const double second = weight_scale2(weight, n);
  for (int64_t k = k_begin; k < k_end; ++k) {
    const double steps = element_f32(weight.raw_codes.dtype, codes, k) -
                         raw_zero_point(weight, n, k);
    double value = block_f32(scale, n, k) * steps * second;
    if (exists(min)) {
      value += element_f32(min.dtype, plane_row(min, n / scale.block_n),
                           k / scale.block_k);
    }
    out[k - k_begin] = static_cast<float>(value);
  }
}

// Columns of row n of a tiled weight: code - zero point.
void tiled_integers(const LinearWeight& weight, int64_t n, int64_t k_begin,
                    int64_t k_end, int16_t* out) {
  const WeightShape& shape = weight.shape;
  const int64_t tile = n / kTileCols;
  const int64_t lane = n % kTileCols;
  const std::byte* codes = weight.codes + tile * shape.tile_bytes + 4 * lane;
  const bool is_i8 = shape.layout == Layout::kI8Tiles;
  for (int64_t k = k_begin; k < k_end; ++k) {
    int code = 0;
    if (is_i8) {
      const std::byte* place = codes + k / 4 * 4 * kTileCols;
      code = int{load_as<int8_t>(place, k % 4)};
    } else {
      const int pair = byte_at(codes, k / 8 * 4 * kTileCols + k % 4);
      code = k % 8 < 4 ? pair & 15 : pair >> 4;
    }
    int zero = is_i8 ? 0 : 8;
    if (weight.zeros != nullptr) {
      const int64_t g = k / shape.group_size;
      zero = static_cast<int>(
          weight.zeros[(tile * shape.num_groups + g) * kTileCols + lane]);
    }
    out[k - k_begin] = static_cast<int16_t>(code - zero);
  }
}

}  // namespace

void decode_row(const LinearWeight& weight, int64_t n, int64_t k_begin,
                int64_t k_end, float* out) {
  const std::byte* row = plane_row(weight.raw_codes, n);
  if (const GgufBlock* block = find_gguf_block(weight.shape.format)) {
    decode_blocks(*block, row + k_begin / block->values * block->bytes,
                  k_end - k_begin, out);
  } else if (exists(weight.raw_scale)) {
    decode_scaled_row(weight, n, k_begin, k_end, out);
  } else {
    for (int64_t k = k_begin; k < k_end; ++k) {
      out[k - k_begin] = element_f32(weight.raw_codes.dtype, row, k);
    }
  }
}

bool has_integers(const LinearWeight& weight) {
  switch (weight.shape.format) {
    case TSR_WEIGHT_I8:
    case TSR_WEIGHT_U8:
    case TSR_WEIGHT_I4:
    case TSR_WEIGHT_U4:
    case TSR_WEIGHT_SPARSE_FIXED:
      return !exists(weight.raw_min);
    default:
      return false;
  }
}

int32_t max_integer(const WeightShape& shape) {
  const bool four_bits =
      shape.format == TSR_WEIGHT_I4 || shape.format == TSR_WEIGHT_U4;
  // With zero points: byte minus byte, which may differ in sign, or nibble
  // minus byte.
  if (shape.has_zeros) return four_bits ? 255 : 383;
  return four_bits ? 8 : 128;
}

void integer_row(const LinearWeight& weight, int64_t n, int64_t k_begin,
                 int64_t k_end, int16_t* out) {
  if (weight.shape.layout != Layout::kRaw) {
    return tiled_integers(weight, n, k_begin, k_end, out);
  }
  const std::byte* codes = plane_row(weight.raw_codes, n);
  for (int64_t k = k_begin; k < k_end; ++k) {
    out[k - k_begin] =
        static_cast<int16_t>(element_f32(weight.raw_codes.dtype, codes, k) -
                             static_cast<float>(raw_zero_point(weight, n, k)));
  }
}

float weight_scale(const LinearWeight& weight, int64_t n, int64_t k) {
  if (weight.shape.layout == Layout::kRaw) {
    return block_f32(weight.raw_scale, n, k);
  }
  const WeightShape& shape = weight.shape;
  const int64_t tile = n / kTileCols * shape.num_groups + k / shape.group_size;
  return weight.scales[tile * kTileCols + n % kTileCols];
}

float weight_scale2(const LinearWeight& weight, int64_t n) {
  if (weight.scale2 != nullptr) return weight.scale2[n];
  return exists(weight.raw_scale2) ? block_f32(weight.raw_scale2, n, 0) : 1.0f;
}

}  // namespace tessera::cpu
