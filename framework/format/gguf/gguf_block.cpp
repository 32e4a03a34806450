// SPDX-License-Identifier: Apache-2.0
//
// The shapes of GGUF blocks, and the decoders of those of 32 values.  All
// products and sums below fit in 53 bits, so doubles are exact.

#include "framework/format/gguf/gguf_block.hpp"

#include <cassert>

#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_k_block.hpp"
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
    {TSR_WEIGHT_Q2_K,  256,     84,    false},
    {TSR_WEIGHT_Q3_K,  256,    110,    false},
    {TSR_WEIGHT_Q4_K,  256,    144,    true},
    {TSR_WEIGHT_Q5_K,  256,    176,    true},
    {TSR_WEIGHT_Q6_K,  256,    210,    true},
    {TSR_WEIGHT_IQ4_NL, 32,     18,    false},
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

// The values that the codes of IQ4_NL stand for, before d.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace

const GgufBlock* find_gguf_block(uint32_t format) {
  for (const GgufBlock& block : kBlocks) {
    if (block.format == format) return &block;
  }
  return nullptr;
}

void decode_gguf_block(uint32_t format, const std::byte* block,
                       double* out_values) {
  if (find_gguf_block(format)->values == 256) {
    return decode_k_block(format, block, out_values);
  }

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
      case TSR_WEIGHT_IQ4_NL:
        value = kIq4Values[nibble_code(block + 2, j)] * d;
        break;
      default:
        assert(false && "not a GGUF format");
    }
  }
}

}  // namespace tessera::format
