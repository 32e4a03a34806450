// SPDX-License-Identifier: Apache-2.0
//
// Every line of the encoders is one f32 operation in ggml's order, so this file
// must be compiled without FMA contraction.

#include "framework/format/gguf/gguf_fp4.hpp"

#include <algorithm>
#include <cmath>

#include "framework/format/small_float.hpp"

namespace tessera::format {
namespace {

float amax_of(const float* x, size_t count) {
  float amax = 0.0f;
  for (size_t j = 0; j < count; ++j) amax = std::max(amax, std::fabs(x[j]));
  return amax;
}

// The first of the codes nearest to x.  Scales are halved and values doubled,
// as ggml's are: at the ends of the range that rounds otherwise.
uint8_t nearest_code(float x, float half_scale) {
  uint8_t best = 0;
  float best_distance = std::fabs(x);
  for (uint8_t code = 1; code < 16; ++code) {
    const float value = 2.0f * f4e2m1_to_f32(code) * half_scale;
    const float distance = std::fabs(value - x);
    if (distance < best_distance) {
      best_distance = distance;
      best = code;
    }
  }
  return best;
}

// `count` values; value j low, j + count / 2 high.
void store_halves(const float* x, size_t count, float half_scale,
                  std::byte* qs) {
  for (size_t j = 0; j < count / 2; ++j) {
    const int low = nearest_code(x[j], half_scale);
    const int high = nearest_code(x[j + count / 2], half_scale);
    qs[j] = static_cast<std::byte>(low | high << 4);
  }
}

void decode_halves(const std::byte* qs, size_t count, double scale,
                   double* out_values) {
  for (size_t j = 0; j < count / 2; ++j) {
    const auto pair = std::to_integer<uint8_t>(qs[j]);
    out_values[j] = scale * f4e2m1_to_f32(pair & 15U);
    out_values[j + count / 2] =
        scale * f4e2m1_to_f32(static_cast<uint8_t>(pair >> 4));
  }
}

}  // namespace

void encode_gguf_mxfp4(const float* x, std::byte* out_block) {
  const float amax = amax_of(x, kGgufMxfp4Values);
  const int exponent =
      amax > 0.0f ? std::max(std::ilogb(amax) - 2, -127) : -127;
  out_block[0] = static_cast<std::byte>(exponent + 127);
  store_halves(x, kGgufMxfp4Values, std::ldexp(1.0f, exponent - 1),
               out_block + 1);
}

void decode_gguf_mxfp4(const std::byte* block, double* out_values) {
  const int exponent = std::to_integer<int>(block[0]) - 127;
  decode_halves(block + 1, kGgufMxfp4Values, std::ldexp(1.0, exponent),
                out_values);
}

void encode_gguf_nvfp4(const float* x, std::byte* out_block) {
  for (size_t k = 0; k < 4; ++k) {
    const float* values = x + 16 * k;
    const uint8_t code = gguf_nvfp4_scale_code(amax_of(values, 16) / 6.0f);
    out_block[k] = std::byte{code};
    store_halves(values, 16, static_cast<float>(gguf_nvfp4_scale(code) / 2),
                 out_block + 4 + 8 * k);
  }
}

void decode_gguf_nvfp4(const std::byte* block, double* out_values) {
  for (size_t k = 0; k < 4; ++k) {
    decode_halves(block + 4 + 8 * k, 16,
                  gguf_nvfp4_scale(std::to_integer<uint8_t>(block[k])),
                  out_values + 16 * k);
  }
}

double gguf_nvfp4_scale(uint8_t code) {
  if (code == 0x7f) return 0.0;
  if (code == 0xff) return 480.0;
  return f8e4m3_to_f32(code & 0x7fU);
}

uint8_t gguf_nvfp4_scale_code(float scale) {
  if (!(scale > 0.0f)) return 0;
  if (scale < 0x1p-6f) {
    // Half up; of a positive number that is away from zero.
    return static_cast<uint8_t>(std::min(std::lround(scale * 512.0f), 7L));
  }
  const int exponent = std::min(std::ilogb(scale), 8);
  // 8 .. 16 steps of the exponent, of which 16 is the next one's first.
  const int steps =
      static_cast<int>(std::floor(std::ldexp(scale, 3 - exponent) + 0.5f));
  const int code = (exponent + 6) * 8 + steps;
  return exponent >= 8 || code >= 0x78 ? uint8_t{0x7e}
                                       : static_cast<uint8_t>(code);
}

}  // namespace tessera::format
