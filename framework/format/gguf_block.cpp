// SPDX-License-Identifier: Apache-2.0
//
// The shapes of GGUF blocks and their decoders.  All products and sums below
// fit in 53 bits, so doubles are exact.

#include "framework/format/gguf_block.hpp"

#include <cassert>

#include "framework/format/element.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {
namespace {

// clang-format off
constexpr GgufBlock kBlocks[] = {
    //  format         values  bytes  has_encoder
    {TSR_WEIGHT_Q4_0,   32,     18,    true},
    {TSR_WEIGHT_Q4_1,   32,     20,    true},
    {TSR_WEIGHT_Q5_0,   32,     22,    true},
    {TSR_WEIGHT_Q5_1,   32,     24,    true},
    {TSR_WEIGHT_Q8_0,   32,     34,    true},
    {TSR_WEIGHT_Q4_K,  256,    144,    false},
    {TSR_WEIGHT_Q6_K,  256,    210,    false},
};
// clang-format on

double half_at(const std::byte* block, size_t offset) {
  return f16_to_f32(load_element<uint16_t>(block + offset, 0));
}

int byte_at(const std::byte* block, size_t offset) {
  return std::to_integer<int>(block[offset]);
}

// Code j of 32: value j in the low nibble of qs[j], j + 16 in the high one.
int nibble_code(const std::byte* qs, int j) {
  const int pair = byte_at(qs, static_cast<size_t>(j % 16));
  return j < 16 ? pair & 15 : pair >> 4;
}

// The same with bit 4 from bit j of qh.
int five_bit_code(const std::byte* qh, const std::byte* qs, int j) {
  const auto bits = load_element<uint32_t>(qh, 0);
  return nibble_code(qs, j) | static_cast<int>(bits >> j & 1U) << 4;
}

void decode_q4_k(const std::byte* block, double* out) {
  const double d = half_at(block, 0);
  const double dmin = half_at(block, 2);
  const std::byte* scales = block + 4;
  const std::byte* qs = block + 16;
  for (size_t j = 0; j < 8; ++j) {  // sub-blocks of 32
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
    for (size_t l = 0; l < 32; ++l) {
      const int pair = byte_at(qs, 32 * (j / 2) + l);
      const int q = j % 2 == 0 ? pair & 15 : pair >> 4;
      out[32 * j + l] = d * sc * q - dmin * m;
    }
  }
}

void decode_q6_k(const std::byte* block, double* out) {
  const double d = half_at(block, 208);
  for (size_t i = 0; i < 256; ++i) {
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

const GgufBlock* find_gguf_block(uint32_t format) {
  for (const GgufBlock& block : kBlocks) {
    if (block.format == format) return &block;
  }
  return nullptr;
}

void decode_gguf_block(uint32_t format, const std::byte* block,
                       double* out_values) {
  if (format == TSR_WEIGHT_Q4_K) return decode_q4_k(block, out_values);
  if (format == TSR_WEIGHT_Q6_K) return decode_q6_k(block, out_values);

  const double d = half_at(block, 0);
  for (int j = 0; j < 32; ++j) {
    double& value = out_values[j];
    switch (format) {
      case TSR_WEIGHT_Q4_0:
        value = (nibble_code(block + 2, j) - 8) * d;
        break;
      case TSR_WEIGHT_Q4_1:
        value = nibble_code(block + 4, j) * d + half_at(block, 2);
        break;
      case TSR_WEIGHT_Q5_0:
        value = (five_bit_code(block + 2, block + 6, j) - 16) * d;
        break;
      case TSR_WEIGHT_Q5_1:
        value = five_bit_code(block + 4, block + 8, j) * d + half_at(block, 2);
        break;
      case TSR_WEIGHT_Q8_0:
        value = load_element<int8_t>(block + 2, static_cast<size_t>(j)) * d;
        break;
      default:
        assert(!"not a GGUF format");
    }
  }
}

}  // namespace tessera::format
