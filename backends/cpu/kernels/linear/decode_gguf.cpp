// SPDX-License-Identifier: Apache-2.0
//
// A scale is 11 bits of f16 times at most 8, a code at most 6: every product
// below is exact in f32, and a sum is the value's one rounding.

#include "backends/cpu/kernels/linear/decode_gguf.hpp"

#include "backends/cpu/kernels/linear/weight_planes.hpp"
#include "backends/cpu/kernels/ops/convert.hpp"

namespace tessera::cpu {
namespace {

float half_at(const std::byte* block, int64_t offset) {
  return f32_from_f16(load_as<uint16_t>(block + offset, 0));
}

int byte_at(const std::byte* block, int64_t offset) {
  return std::to_integer<int>(block[offset]);
}

float scaled(float scale, int code) { return scale * static_cast<float>(code); }

// 16 values that share a scale: two bits each at `shift` of 16 bytes.
void decode_q2_k(const std::byte* block, float* out) {
  const float d = half_at(block, 80);
  const float dmin = half_at(block, 82);
  for (int i = 0; i < 256; i += 16) {
    const int scales = byte_at(block, i / 16);
    const float scale = scaled(d, scales & 15);
    const float min = scaled(dmin, scales >> 4);
    const std::byte* qs = block + 16 + ptrdiff_t{32} * (i / 128) + i % 32;
    const int shift = 2 * (i % 128 / 32);
    for (int l = 0; l < 16; ++l) {
      out[i + l] = scaled(scale, byte_at(qs, l) >> shift & 3) - min;
    }
  }
}

// Six bits: the low four are nibbles of bytes 0..7, the high two lie four a
// byte in bytes 8..11.
int q3_scale(const std::byte* scales, int j) {
  const int pair = byte_at(scales, j % 8);
  const int low = j < 8 ? pair & 15 : pair >> 4;
  const int high = byte_at(scales, 8 + j % 4) >> (2 * (j / 4)) & 3;
  return (low | high << 4) - 32;
}

void decode_q3_k(const std::byte* block, float* out) {
  const float d = half_at(block, 108);
  for (int i = 0; i < 256; i += 16) {
    const float scale = scaled(d, q3_scale(block + 96, i / 16));
    const std::byte* mask = block + i % 32;
    const std::byte* qs = block + 32 + ptrdiff_t{32} * (i / 128) + i % 32;
    const int shift = 2 * (i % 128 / 32);
    for (int l = 0; l < 16; ++l) {
      const int low = byte_at(qs, l) >> shift & 3;
      const int high = (byte_at(mask, l) >> (i / 32) & 1) << 2;
      out[i + l] = scaled(scale, (low | high) - 4);
    }
  }
}

}  // namespace

void decode_gguf_block(uint32_t format, const std::byte* block, float* out) {
  if (format == TSR_WEIGHT_Q2_K) return decode_q2_k(block, out);
  decode_q3_k(block, out);
}

}  // namespace tessera::cpu
