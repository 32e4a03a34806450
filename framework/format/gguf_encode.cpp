// SPDX-License-Identifier: Apache-2.0
//
// Encoders of the five simple GGUF blocks.  Every line is one f32 operation in
// ggml's order, so this file must be compiled without FMA contraction.

#include <algorithm>
#include <cassert>
#include <cmath>

#include "framework/format/element.hpp"
#include "framework/format/gguf_block.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {
namespace {

// The value of largest magnitude, with its sign; the first of equals.
float signed_amax(const float* x) {
  float amax = 0.0f;
  float value = 0.0f;
  for (int j = 0; j < 32; ++j) {
    if (std::fabs(x[j]) > amax) {
      amax = std::fabs(x[j]);
      value = x[j];
    }
  }
  return value;
}

// 1 / d, or 0 where that is infinite: such a block is zero to f16.
float inverse(float d) {
  const float id = 1.0f / d;
  return std::isfinite(id) ? id : 0.0f;
}

// Towards zero, which with the constants above it is what ggml rounds by.
int truncate(float x) { return static_cast<int>(x); }

void store_half(std::byte* block, size_t offset, float value) {
  store_element(block + offset, 0, f32_to_f16(value));
}

// Writes the low four bits of 32 codes to qs and bit 4, if there is a qh, to
// it.
void store_codes(const int (&codes)[32], std::byte* qh, std::byte* qs) {
  uint32_t high = 0;
  for (int j = 0; j < 16; ++j) {
    qs[j] = static_cast<std::byte>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
  }
  for (int j = 0; j < 32; ++j) {
    high |= static_cast<uint32_t>(codes[j] >> 4 & 1) << j;
  }
  if (qh != nullptr) store_element(qh, 0, high);
}

// Q4_0 and Q5_0: codes 0 .. 2 half - 1, where `half` stands for zero.
void encode_symmetric(const float* x, int half, float* out_d,
                      int (&out_codes)[32]) {
  const float d = signed_amax(x) / static_cast<float>(-half);
  const float id = inverse(d);
  const float offset = static_cast<float>(half) + 0.5f;
  for (int j = 0; j < 32; ++j) {
    out_codes[j] = std::min(2 * half - 1, truncate(x[j] * id + offset));
  }
  *out_d = d;
}

// Q4_1 and Q5_1: codes 0 .. max_code from the minimum up.
void encode_with_min(const float* x, int max_code, float* out_d, float* out_m,
                     int (&out_codes)[32]) {
  const auto [min, max] = std::minmax_element(x, x + 32);
  const float d = (*max - *min) / static_cast<float>(max_code);
  const float id = inverse(d);
  for (int j = 0; j < 32; ++j) {
    out_codes[j] = std::min(max_code, truncate((x[j] - *min) * id + 0.5f));
  }
  *out_d = d;
  *out_m = *min;
}

void encode_q8_0(const float* x, std::byte* block) {
  const float d = std::fabs(signed_amax(x)) / 127.0f;
  const float id = inverse(d);
  store_half(block, 0, d);
  for (size_t j = 0; j < 32; ++j) {
    store_element(block + 2, j, static_cast<int8_t>(std::round(x[j] * id)));
  }
}

}  // namespace

void encode_gguf_block(uint32_t format, const float* x, std::byte* out_block) {
  int codes[32] = {};
  float d = 0.0f;
  float m = 0.0f;
  switch (format) {
    case TSR_WEIGHT_Q4_0:
      encode_symmetric(x, 8, &d, codes);
      store_codes(codes, nullptr, out_block + 2);
      break;
    case TSR_WEIGHT_Q4_1:
      encode_with_min(x, 15, &d, &m, codes);
      store_half(out_block, 2, m);
      store_codes(codes, nullptr, out_block + 4);
      break;
    case TSR_WEIGHT_Q5_0:
      encode_symmetric(x, 16, &d, codes);
      store_codes(codes, out_block + 2, out_block + 6);
      break;
    case TSR_WEIGHT_Q5_1:
      encode_with_min(x, 31, &d, &m, codes);
      store_half(out_block, 2, m);
      store_codes(codes, out_block + 4, out_block + 8);
      break;
    case TSR_WEIGHT_Q8_0:
      return encode_q8_0(x, out_block);
    default:
      assert(!"no encoder for this format");
  }
  store_half(out_block, 0, d);
}

}  // namespace tessera::format
