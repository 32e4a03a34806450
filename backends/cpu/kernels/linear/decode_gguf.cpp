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

// ---- Blocks of 32 ----------------------------------------------------------

// scale * (code - zero) + min; the fifth bit of code j is bit j of `high`.
struct Line {
  float scale;
  float min;
  int zero;
};

void decode_nibbles(const std::byte* qs, uint32_t high, const Line& line,
                    float* out) {
  for (int j = 0; j < 16; ++j) {
    const int pair = byte_at(qs, j);
    const auto bit = [&](int i) {
      return static_cast<int>(high >> i & 1U) << 4;
    };
    const int low_code = (pair & 15) | bit(j);
    const int high_code = pair >> 4 | bit(j + 16);
    out[j] = scaled(line.scale, low_code - line.zero) + line.min;
    out[j + 16] = scaled(line.scale, high_code - line.zero) + line.min;
  }
}

void decode_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block, 0);
  for (int j = 0; j < 32; ++j)
    out[j] = scaled(d, load_as<int8_t>(block + 2, j));
}

void decode_iq4_nl(const std::byte* block, float* out) {
  constexpr int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
  const float d = half_at(block, 0);
  for (int j = 0; j < 16; ++j) {
    const int pair = byte_at(block, 2 + j);
    out[j] = scaled(d, kValues[pair & 15]);
    out[j + 16] = scaled(d, kValues[pair >> 4]);
  }
}

// ---- Blocks of 256 ---------------------------------------------------------

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

struct ScaleAndMinCodes {
  int scale;
  int min;
};

ScaleAndMinCodes scale_and_min_codes(const std::byte* scales, int j) {
  if (j < 4) return {byte_at(scales, j) & 63, byte_at(scales, j + 4) & 63};
  const int low = byte_at(scales, j + 4);
  return {(low & 15) | (byte_at(scales, j - 4) >> 6) << 4,
          (low >> 4) | (byte_at(scales, j) >> 6) << 4};
}

// Q4_K, and Q5_K whose fifth bits are qh[32]; null in Q4_K.
void decode_with_min(const std::byte* block, const std::byte* qh,
                     const std::byte* qs, float* out) {
  const float d = half_at(block, 0);
  const float dmin = half_at(block, 2);
  for (int j = 0; j < 8; ++j, out += 32) {
    const ScaleAndMinCodes codes = scale_and_min_codes(block + 4, j);
    const float scale = scaled(d, codes.scale);
    const float min = scaled(dmin, codes.min);
    const std::byte* pairs = qs + ptrdiff_t{32} * (j / 2);
    const int shift = 4 * (j % 2);
    for (int l = 0; l < 32; ++l) {
      int q = byte_at(pairs, l) >> shift & 15;
      if (qh != nullptr) q |= (byte_at(qh, l) >> j & 1) << 4;
      out[l] = scaled(scale, q) - min;
    }
  }
}

void decode_q6_k(const std::byte* block, float* out) {
  const float d = half_at(block, 208);
  for (int i = 0; i < 256; i += 16) {
    const int n = i / 128;
    const int k = i % 128 / 32;
    const float scale = scaled(d, load_as<int8_t>(block + 192, i / 16));
    const std::byte* low =
        block + ptrdiff_t{64} * n + ptrdiff_t{32} * (k % 2) + i % 32;
    const std::byte* high = block + 128 + ptrdiff_t{32} * n + i % 32;
    for (int l = 0; l < 16; ++l) {
      const int q = (byte_at(low, l) >> (k < 2 ? 0 : 4) & 15) |
                    (byte_at(high, l) >> (2 * k) & 3) << 4;
      out[i + l] = scaled(scale, q - 32);
    }
  }
}

}  // namespace

void decode_gguf_block(uint32_t format, const std::byte* block, float* out) {
  const float d = half_at(block, 0);
  switch (format) {
    case TSR_WEIGHT_Q4_0:
      return decode_nibbles(block + 2, 0, {d, 0.0f, 8}, out);
    case TSR_WEIGHT_Q4_1:
      return decode_nibbles(block + 4, 0, {d, half_at(block, 2), 0}, out);
    case TSR_WEIGHT_Q5_0:
      return decode_nibbles(block + 6, load_as<uint32_t>(block + 2, 0),
                            {d, 0.0f, 16}, out);
    case TSR_WEIGHT_Q5_1:
      return decode_nibbles(block + 8, load_as<uint32_t>(block + 4, 0),
                            {d, half_at(block, 2), 0}, out);
    case TSR_WEIGHT_Q8_0:
      return decode_q8_0(block, out);
    case TSR_WEIGHT_IQ4_NL:
      return decode_iq4_nl(block, out);
    case TSR_WEIGHT_Q2_K:
      return decode_q2_k(block, out);
    case TSR_WEIGHT_Q3_K:
      return decode_q3_k(block, out);
    case TSR_WEIGHT_Q4_K:
      return decode_with_min(block, nullptr, block + 16, out);
    case TSR_WEIGHT_Q5_K:
      return decode_with_min(block, block + 16, block + 48, out);
    default:  // Q6_K
      return decode_q6_k(block, out);
  }
}

}  // namespace tessera::cpu
