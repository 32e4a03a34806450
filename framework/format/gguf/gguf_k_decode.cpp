// SPDX-License-Identifier: Apache-2.0
//
// Decoders of GGUF super-blocks, value by value from the drawings of
// tessera/types.h.  All products and sums fit in 53 bits, so doubles are exact.

#include <cassert>

#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_k_block.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {
namespace {

constexpr size_t kValues = 256;

double half_at(const std::byte* block, size_t offset) {
  return f16_to_f32(load_element<uint16_t>(block + offset, 0));
}

int byte_at(const std::byte* block, size_t offset) {
  return std::to_integer<int>(block[offset]);
}

// Code i of Q2_K, and the low bits of Q3_K: 32 bytes hold 128 values, two bits
// each.
int two_bit_code(const std::byte* qs, size_t i) {
  const int four = byte_at(qs, 32 * (i / 128) + i % 32);
  return four >> (2 * (i % 128 / 32)) & 3;
}

void decode_q2_k(const std::byte* block, double* out) {
  const double d = half_at(block, 80);
  const double dmin = half_at(block, 82);
  for (size_t i = 0; i < kValues; ++i) {
    const int pair = byte_at(block, i / 16);
    const int q = two_bit_code(block + 16, i);
    out[i] = d * (pair & 15) * q - dmin * (pair >> 4);
  }
}

// Scale j of 16, six bits: the low four are nibbles of bytes 0..7, the high two
// lie four a byte in bytes 8..11.
int q3_scale(const std::byte* scales, size_t j) {
  const int pair = byte_at(scales, j % 8);
  const int low = j < 8 ? pair & 15 : pair >> 4;
  const int high = byte_at(scales, 8 + j % 4) >> (2 * (j / 4)) & 3;
  return (low | high << 4) - 32;
}

void decode_q3_k(const std::byte* block, double* out) {
  const double d = half_at(block, 108);
  for (size_t i = 0; i < kValues; ++i) {
    const bool high = (byte_at(block, i % 32) >> (i / 32) & 1) != 0;
    const int q = two_bit_code(block + 32, i) - (high ? 0 : 4);
    out[i] = d * q3_scale(block + 96, i / 16) * q;
  }
}

struct ScaleAndMinCodes {
  int scale;
  int min;
};

// Of sub-block j of 8 in Q4_K and Q5_K.
ScaleAndMinCodes scale_and_min_codes(const std::byte* scales, size_t j) {
  if (j < 4) return {byte_at(scales, j) & 63, byte_at(scales, j + 4) & 63};
  const int low = byte_at(scales, j + 4);
  return {(low & 15) | (byte_at(scales, j - 4) >> 6) << 4,
          (low >> 4) | (byte_at(scales, j) >> 6) << 4};
}

// Q4_K, and Q5_K whose fifth bits are qh[32]; null in Q4_K.
void decode_with_min(const std::byte* block, const std::byte* qh,
                     const std::byte* qs, double* out) {
  const double d = half_at(block, 0);
  const double dmin = half_at(block, 2);
  for (size_t j = 0; j < 8; ++j) {
    const ScaleAndMinCodes codes = scale_and_min_codes(block + 4, j);
    for (size_t l = 0; l < 32; ++l) {
      const int pair = byte_at(qs, 32 * (j / 2) + l);
      int q = j % 2 == 0 ? pair & 15 : pair >> 4;
      if (qh != nullptr) q |= (byte_at(qh, l) >> j & 1) << 4;
      out[32 * j + l] = d * codes.scale * q - dmin * codes.min;
    }
  }
}

void decode_q6_k(const std::byte* block, double* out) {
  const double d = half_at(block, 208);
  for (size_t i = 0; i < kValues; ++i) {
    const size_t n = i / 128;
    const size_t k = i % 128 / 32;
    const size_t l = i % 32;
    const int ql = byte_at(block, 64 * n + 32 * (k % 2) + l);
    const int qh = byte_at(block, 128 + 32 * n + l);
    const int low = k < 2 ? ql & 15 : ql >> 4;
    const int q = low | (qh >> (2 * k) & 3) << 4;
    out[i] = d * load_element<int8_t>(block + 192, i / 16) * (q - 32);
  }
}

}  // namespace

void decode_k_block(uint32_t format, const std::byte* block,
                    double* out_values) {
  switch (format) {
    case TSR_WEIGHT_Q2_K:
      return decode_q2_k(block, out_values);
    case TSR_WEIGHT_Q3_K:
      return decode_q3_k(block, out_values);
    case TSR_WEIGHT_Q4_K:
      return decode_with_min(block, nullptr, block + 16, out_values);
    case TSR_WEIGHT_Q5_K:
      return decode_with_min(block, block + 16, block + 48, out_values);
    case TSR_WEIGHT_Q6_K:
      return decode_q6_k(block, out_values);
    default:
      assert(false && "not a super-block format");
  }
}

}  // namespace tessera::format
