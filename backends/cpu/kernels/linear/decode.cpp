// SPDX-License-Identifier: Apache-2.0
//
// The formulas of types.h, line by line.  Products are in double, where they
// are exact or nearly so, and rounded once.

#include "backends/cpu/kernels/linear/decode.hpp"

#include <algorithm>

#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "backends/cpu/kernels/ops/convert.hpp"

namespace tessera::cpu {
namespace {

double half_at(const std::byte* block, int64_t offset) {
  return f32_from_f16(load_as<uint16_t>(block + offset, 0));
}

int byte_at(const std::byte* block, int64_t offset) {
  return std::to_integer<int>(block[offset]);
}

// Code j of 32: value j in the low nibble of qs[j], j + 16 in the high one.
int nibble_code(const std::byte* qs, int64_t j) {
  const int pair = byte_at(qs, j % 16);
  return j < 16 ? pair & 15 : pair >> 4;
}

// The same with bit 4 from bit j of qh.
int five_bit_code(const std::byte* qh, const std::byte* qs, int64_t j) {
  const auto bits = load_as<uint32_t>(qh, 0);
  return nibble_code(qs, j) | static_cast<int>(bits >> j & 1U) << 4;
}

double value_of_32(uint32_t format, const std::byte* block, int64_t j) {
  const double d = half_at(block, 0);
  switch (format) {
    case TSR_WEIGHT_Q4_0:
      return (nibble_code(block + 2, j) - 8) * d;
    case TSR_WEIGHT_Q4_1:
      return nibble_code(block + 4, j) * d + half_at(block, 2);
    case TSR_WEIGHT_Q5_0:
      return (five_bit_code(block + 2, block + 6, j) - 16) * d;
    case TSR_WEIGHT_Q5_1:
      return five_bit_code(block + 4, block + 8, j) * d + half_at(block, 2);
    default:  // Q8_0
      return load_as<int8_t>(block + 2, j) * d;
  }
}

double value_of_q4_k(const std::byte* block, int64_t i) {
  const std::byte* scales = block + 4;
  const int64_t j = i / 32;
  int sc = 0;
  int m = 0;
  if (j < 4) {
    sc = byte_at(scales, j) & 63;
    m = byte_at(scales, j + 4) & 63;
  } else {
    const int low = byte_at(scales, j + 4);
    sc = (low & 15) | (byte_at(scales, j - 4) >> 6) << 4;
    m = (low >> 4) | (byte_at(scales, j) >> 6) << 4;
  }
  const int pair = byte_at(block + 16, 32 * (j / 2) + i % 32);
  const int q = j % 2 == 0 ? pair & 15 : pair >> 4;
  return half_at(block, 0) * sc * q - half_at(block, 2) * m;
}

double value_of_q6_k(const std::byte* block, int64_t i) {
  const int64_t n = i / 128;
  const int64_t k = i % 128 / 32;
  const int64_t l = i % 32;
  const int ql = byte_at(block, 64 * n + 32 * (k % 2) + l);
  const int qh = byte_at(block, 128 + 32 * n + l);
  const int low = k < 2 ? ql & 15 : ql >> 4;
  const int q = low | (qh >> (2 * k) & 3) << 4;
  return half_at(block, 208) * load_as<int8_t>(block + 192, i / 16) * (q - 32);
}

double gguf_value(const GgufBlock& format, const std::byte* block, int64_t i) {
  if (format.format == TSR_WEIGHT_Q4_K) return value_of_q4_k(block, i);
  if (format.format == TSR_WEIGHT_Q6_K) return value_of_q6_k(block, i);
  return value_of_32(format.format, block, i);
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
    for (int64_t k = k_begin; k < k_end; ++k) {
      const std::byte* place = row + k / block->values * block->bytes;
      out[k - k_begin] =
          static_cast<float>(gguf_value(*block, place, k % block->values));
    }
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
