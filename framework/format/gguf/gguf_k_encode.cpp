// SPDX-License-Identifier: Apache-2.0
//
// Encoders of GGUF super-blocks: a search for each sub-block's scale, six or
// eight bits for those, then codes of the scales as stored.  Every line is one
// f32 operation in ggml's order, so this file must be compiled without FMA
// contraction.

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <span>

#include "framework/format/element.hpp"
#include "framework/format/gguf/gguf_k_block.hpp"
#include "framework/format/gguf/gguf_scale_search.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {
namespace {

constexpr size_t kValues = 256;

float rounded_to_half(float value) { return f16_to_f32(f32_to_f16(value)); }

void store_half(std::byte* block, size_t offset, float value) {
  store_element(block + offset, 0, f32_to_f16(value));
}

void store_byte(std::byte* block, size_t offset, int value) {
  block[offset] = static_cast<std::byte>(value);
}

float sum_of_squares(std::span<const float> x) {
  float sum = 0.0f;
  for (const float value : x) sum += value * value;
  return sum;
}

// ---- Q4_K and Q5_K: eight sub-blocks of 32 with a scale and a min ----------

constexpr size_t kWithMin = 8;
constexpr size_t kWithMinSize = 32;
constexpr int kMaxScaleCode = 63;

struct WithMinRule {
  int max_code;
  Ladder ladder;  // without importance
};
constexpr WithMinRule kQ4K = {15, {-1.0f, 0.1f, 20}};
constexpr WithMinRule kQ5K = {31, {-0.5f, 0.1f, 15}};
constexpr Ladder kWeightedLadder = {-0.9f, 0.05f, 36};

struct WithMinBlock {
  float d = 0.0f;  // as stored
  float dmin = 0.0f;
  std::array<uint8_t, kWithMin> scales{};
  std::array<uint8_t, kWithMin> mins{};
  std::array<uint8_t, kValues> codes{};
};

// Weights of one sub-block.  Plain: the larger |x|, the more it counts, from
// the root mean square up.  With importance: that of the column, damped for
// values below the root of twice the super-block's mean square.
void fill_weights(std::span<const float> x, const float* importance,
                  float super_block_squares, std::span<float> out_weights) {
  const float rms = std::sqrt(sum_of_squares(x) / static_cast<float>(x.size()));
  const float sigma2 = 2.0f * super_block_squares / static_cast<float>(kValues);
  for (size_t i = 0; i < x.size(); ++i) {
    out_weights[i] = importance != nullptr
                         ? importance[i] * std::sqrt(sigma2 + x[i] * x[i])
                         : rms + std::fabs(x[i]);
  }
}

// Six-bit codes of eight scales or mins, and the f16 that they multiply.
float encode_scales(std::span<const float> scales,
                    std::span<const float> weights, bool is_weighted,
                    std::span<uint8_t> out_codes) {
  if (is_weighted) {
    return rounded_to_half(
        search_positive_scale(scales, weights, kMaxScaleCode, out_codes));
  }
  const float max =
      std::max(0.0f, *std::max_element(scales.begin(), scales.end()));
  const float inverse = max > 0.0f ? kMaxScaleCode / max : 0.0f;
  for (size_t j = 0; j < scales.size(); ++j) {
    out_codes[j] = static_cast<uint8_t>(
        std::min(kMaxScaleCode, round_to_int(inverse * scales[j])));
  }
  return rounded_to_half(max / kMaxScaleCode);
}

// Codes for the scales as stored.  A sub-block whose scale became 0 keeps those
// of the search, which decode to its min whatever they are.
void take_final_codes(const float* x, int max_code, WithMinBlock& block) {
  for (size_t j = 0; j < kWithMin; ++j) {
    const float scale = block.d * static_cast<float>(block.scales[j]);
    if (scale == 0.0f) continue;
    const float min = block.dmin * static_cast<float>(block.mins[j]);
    for (size_t i = kWithMinSize * j; i < kWithMinSize * (j + 1); ++i) {
      block.codes[i] = static_cast<uint8_t>(
          std::clamp(round_to_int((x[i] + min) / scale), 0, max_code));
    }
  }
}

WithMinBlock find_with_min(const float* x, const float* importance,
                           const WithMinRule& rule) {
  WithMinBlock block;
  std::array<float, kWithMin> scales{};
  std::array<float, kWithMin> mins{};
  std::array<float, kWithMin> weight_sums{};
  const float squares = sum_of_squares({x, kValues});
  for (size_t j = 0; j < kWithMin; ++j) {
    const size_t begin = kWithMinSize * j;
    const std::span<const float> values(x + begin, kWithMinSize);
    std::array<float, kWithMinSize> weights{};
    fill_weights(values, importance == nullptr ? nullptr : importance + begin,
                 squares, weights);
    const ScaleAndMin fit = search_scale_and_min(
        values, weights, rule.max_code,
        importance == nullptr ? rule.ladder : kWeightedLadder,
        std::span(block.codes).subspan(begin, kWithMinSize));
    scales[j] = fit.scale;
    mins[j] = fit.min;
    for (const float weight : weights) weight_sums[j] += weight;
  }
  const bool is_weighted = importance != nullptr;
  block.d = encode_scales(scales, weight_sums, is_weighted, block.scales);
  block.dmin = encode_scales(mins, weight_sums, is_weighted, block.mins);
  take_final_codes(x, rule.max_code, block);
  return block;
}

// The inverse of scale_and_min_codes in gguf_k_decode.cpp.
void store_scales(const WithMinBlock& block, std::byte* scales) {
  for (size_t j = 0; j < 4; ++j) {
    const int high_scale = block.scales[j + 4];
    const int high_min = block.mins[j + 4];
    store_byte(scales, j, block.scales[j] | (high_scale >> 4) << 6);
    store_byte(scales, j + 4, block.mins[j] | (high_min >> 4) << 6);
    store_byte(scales, j + 8, (high_scale & 15) | (high_min & 15) << 4);
  }
}

void encode_with_min(const float* x, const float* importance,
                     const WithMinRule& rule, std::byte* out) {
  const WithMinBlock block = find_with_min(x, importance, rule);
  const bool five_bits = rule.max_code > 15;
  store_half(out, 0, block.d);
  store_half(out, 2, block.dmin);
  store_scales(block, out + 4);
  std::byte* qh = out + 16;
  std::byte* qs = five_bits ? out + 48 : out + 16;
  if (five_bits) std::fill_n(qh, kWithMinSize, std::byte{0});
  for (size_t j = 0; j < kWithMin; ++j) {
    for (size_t l = 0; l < kWithMinSize; ++l) {
      const auto code = std::byte{block.codes[kWithMinSize * j + l]};
      std::byte& pair = qs[32 * (j / 2) + l];
      const std::byte low = code & std::byte{15};
      pair = j % 2 == 0 ? low : pair | low << 4;
      if (five_bits) qh[l] |= (code >> 4) << j;
    }
  }
}

// ---- Q6_K: sixteen sub-blocks of 16 with a signed scale --------------------

constexpr size_t kSigned = 16;
constexpr size_t kSignedSize = 16;
constexpr int kQ6Half = 32;

struct SignedBlock {
  float d = 0.0f;  // as stored
  std::array<int8_t, kSigned> scales{};
  std::array<uint8_t, kValues> codes{};
};

SignedBlock find_signed(const float* x, const float* importance) {
  SignedBlock block;
  std::array<float, kSigned> scales{};
  float largest = 0.0f;  // with its sign; the first of equals
  for (size_t j = 0; j < kSigned; ++j) {
    const size_t begin = kSignedSize * j;
    const auto weights =
        importance == nullptr
            ? std::span<const float>()
            : std::span<const float>(importance + begin, kSignedSize);
    scales[j] = search_symmetric_scale(
        {x + begin, kSignedSize}, weights, kQ6Half,
        std::span(block.codes).subspan(begin, kSignedSize));
    if (std::fabs(scales[j]) > std::fabs(largest)) largest = scales[j];
  }
  if (std::fabs(largest) < 1e-15f) return {};

  const float inverse = -128.0f / largest;
  block.d = rounded_to_half(1.0f / inverse);
  for (size_t j = 0; j < kSigned; ++j) {
    block.scales[j] = static_cast<int8_t>(
        std::clamp(round_to_int(inverse * scales[j]), -128, 127));
    const float scale = block.d * static_cast<float>(block.scales[j]);
    if (scale == 0.0f) continue;
    for (size_t i = kSignedSize * j; i < kSignedSize * (j + 1); ++i) {
      block.codes[i] =
          static_cast<uint8_t>(kQ6Half + std::clamp(round_to_int(x[i] / scale),
                                                    -kQ6Half, kQ6Half - 1));
    }
  }
  return block;
}

void encode_q6_k(const float* x, const float* importance, std::byte* out) {
  const SignedBlock block = find_signed(x, importance);
  std::byte* qh = out + 128;
  for (size_t n = 0; n < 2; ++n) {
    for (size_t l = 0; l < 32; ++l) {
      const uint8_t* codes = &block.codes[128 * n + l];
      for (size_t k = 0; k < 2; ++k) {
        const int low = codes[32 * k] & 15;
        const int high = codes[32 * k + 64] & 15;
        store_byte(out, 64 * n + 32 * k + l, low | high << 4);
      }
      store_byte(qh, 32 * n + l,
                 codes[0] >> 4 | codes[32] >> 4 << 2 | codes[64] >> 4 << 4 |
                     codes[96] >> 4 << 6);
    }
  }
  for (size_t j = 0; j < kSigned; ++j) {
    store_element(out + 192, j, block.scales[j]);
  }
  store_half(out, 208, block.d);
}

}  // namespace

void encode_k_block(uint32_t format, const float* x, const float* importance,
                    std::byte* out_block) {
  switch (format) {
    case TSR_WEIGHT_Q4_K:
      return encode_with_min(x, importance, kQ4K, out_block);
    case TSR_WEIGHT_Q5_K:
      return encode_with_min(x, importance, kQ5K, out_block);
    case TSR_WEIGHT_Q6_K:
      return encode_q6_k(x, importance, out_block);
    default:
      assert(false && "no encoder for this format");
  }
}

}  // namespace tessera::format
