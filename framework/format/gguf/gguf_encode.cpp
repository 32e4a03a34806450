// SPDX-License-Identifier: Apache-2.0
//
// Encoders of the five simple GGUF blocks, plain and by importance.  Every line
// is one f32 operation in ggml's order, so this file must be compiled without
// FMA contraction.

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <span>

#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_block.hpp"
#include "framework/format/gguf/gguf_k_block.hpp"
#include "framework/format/gguf/gguf_scale_search.hpp"
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

// What the bits of a block hold, before they are laid out.
struct Block32 {
  float d = 0.0f;
  float m = 0.0f;
  int codes[32] = {};
};

bool has_min(uint32_t format) {
  return format == TSR_WEIGHT_Q4_1 || format == TSR_WEIGHT_Q5_1;
}

bool has_five_bits(uint32_t format) {
  return format == TSR_WEIGHT_Q5_0 || format == TSR_WEIGHT_Q5_1;
}

// The scale, and the min, that lower the squared error where the importance of
// a value grows with its size from the block's root mean square up.
Block32 find_weighted(uint32_t format, const float* x,
                      const float* importance) {
  const std::span<const float> values(x, 32);
  float squares = 0.0f;
  for (const float value : values) squares += value * value;
  std::array<float, 32> weights{};
  for (size_t j = 0; j < 32; ++j) {
    weights[j] = importance[j] * std::sqrt(squares / 32.0f + x[j] * x[j]);
  }

  Block32 block;
  std::array<uint8_t, 32> codes{};
  const int half = has_five_bits(format) ? 16 : 8;
  if (has_min(format)) {
    const ScaleAndMin fit = search_scale_and_min(values, weights, 2 * half - 1,
                                                 {-0.9f, 0.05f, 36}, codes);
    block.d = fit.scale;
    block.m = -fit.min;
  } else {
    block.d = search_symmetric_scale(values, weights, half, codes);
  }
  std::copy(codes.begin(), codes.end(), block.codes);
  return block;
}

Block32 find_plain(uint32_t format, const float* x) {
  Block32 block;
  const int half = has_five_bits(format) ? 16 : 8;
  if (has_min(format)) {
    encode_with_min(x, 2 * half - 1, &block.d, &block.m, block.codes);
  } else {
    encode_symmetric(x, half, &block.d, block.codes);
  }
  return block;
}

void store_block(uint32_t format, const Block32& block, std::byte* out) {
  size_t end = 2;
  store_half(out, 0, block.d);
  if (has_min(format)) {
    store_half(out, end, block.m);
    end += 2;
  }
  std::byte* qh = has_five_bits(format) ? out + end : nullptr;
  if (qh != nullptr) end += 4;
  store_codes(block.codes, qh, out + end);
}

// Importance that says nothing would make every scale equally good.
const float* useful(const float* importance, size_t count) {
  if (importance == nullptr) return nullptr;
  const bool some = std::any_of(importance, importance + count,
                                [](float weight) { return weight > 0.0f; });
  return some ? importance : nullptr;
}

}  // namespace

void encode_gguf_block(uint32_t format, const float* x, const float* importance,
                       std::byte* out_block) {
  const GgufBlock* shape = find_gguf_block(format);
  assert(shape != nullptr && shape->has_encoder);
  if (format == TSR_WEIGHT_Q8_0) return encode_q8_0(x, out_block);
  const float* weights = useful(importance, shape->values);
  if (shape->values == 256) {
    return encode_k_block(format, x, weights, out_block);
  }
  store_block(format,
              weights == nullptr ? find_plain(format, x)
                                 : find_weighted(format, x, weights),
              out_block);
}

}  // namespace tessera::format
