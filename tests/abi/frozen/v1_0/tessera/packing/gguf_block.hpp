// SPDX-License-Identifier: Apache-2.0
//
// tessera/packing/gguf_block.hpp - GGUF blocks, drawn in tessera/types.h, taken
// apart into codes, scales and minima.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tessera/packing/plane_data.hpp"
#include "tessera/packing/small_float.hpp"
#include "tessera/types.h"

namespace tessera::sdk::packing {

// A GGUF block format.
struct GgufBlock {
  uint32_t format;
  uint32_t values;  // consecutive weights of a block
  uint32_t bytes;
  uint32_t group;     // values that share a scale
  int32_t code_zero;  // nibbles: what is subtracted from a code
  bool has_min;
  bool is_nibble;  // codes are 0 .. 15, else s8
};

// One block.  A value is scale * (code - code_zero) + min of its group.
struct GgufValues {
  int8_t codes[256];
  float scales[16];  // by group of the block
  float mins[16];
};

namespace detail {

// clang-format off
inline constexpr GgufBlock kBlocks[] = {
    //                  values bytes group zero  min    nibble
    {TSR_WEIGHT_Q4_0,   32,    18,   32,   8,    false, true},
    {TSR_WEIGHT_Q4_1,   32,    20,   32,   0,    true,  true},
    {TSR_WEIGHT_Q5_0,   32,    22,   32,   0,    false, false},
    {TSR_WEIGHT_Q5_1,   32,    24,   32,   0,    true,  false},
    {TSR_WEIGHT_Q8_0,   32,    34,   32,   0,    false, false},
    {TSR_WEIGHT_Q2_K,   256,   84,   16,   0,    true,  true},
    {TSR_WEIGHT_Q3_K,   256,   110,  16,   4,    false, true},
    {TSR_WEIGHT_Q4_K,   256,   144,  32,   0,    true,  true},
    {TSR_WEIGHT_Q5_K,   256,   176,  32,   0,    true,  false},
    {TSR_WEIGHT_Q6_K,   256,   210,  16,   0,    false, false},
    {TSR_WEIGHT_IQ4_NL, 32,    18,   32,   0,    false, false},
};
// clang-format on

// The values of IQ4_NL's codes.
inline constexpr int8_t kIq4Values[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline float half_at(const std::byte* block, uint64_t offset) {
  return f32_from_f16(load_as<uint16_t>(block + offset, 0));
}

inline uint32_t byte_at(const std::byte* bytes, uint32_t index) {
  return std::to_integer<uint32_t>(bytes[index]);
}

inline int8_t code(uint32_t value, int32_t zero = 0) {
  return static_cast<int8_t>(static_cast<int32_t>(value) - zero);
}

// qs[j]: value j in the low nibble, j + 16 in the high one.
inline uint32_t low_bits(const std::byte* qs, uint32_t i) {
  return i < 16 ? byte_at(qs, i) & 15U : byte_at(qs, i - 16) >> 4;
}

inline void split_nibbles(const std::byte* qs, GgufValues& out) {
  for (uint32_t i = 0; i < 32; ++i) out.codes[i] = code(low_bits(qs, i));
}

inline void split_five_bits(const std::byte* qs, uint32_t high, int32_t zero,
                            GgufValues& out) {
  for (uint32_t i = 0; i < 32; ++i) {
    out.codes[i] = code(low_bits(qs, i) | (high >> i & 1U) << 4, zero);
  }
}

inline void split_q2_k(const std::byte* block, GgufValues& out) {
  const float d = half_at(block, 80);
  const float dmin = half_at(block, 82);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t pair = byte_at(block + 16, 32 * (i / 128) + i % 32);
    out.codes[i] = code(pair >> (2 * (i % 128 / 32)) & 3U);
  }
  for (uint32_t g = 0; g < 16; ++g) {
    out.scales[g] = d * static_cast<float>(byte_at(block, g) & 15U);
    out.mins[g] = -dmin * static_cast<float>(byte_at(block, g) >> 4);
  }
}

// Six bits: the low four are nibbles of bytes 0..7, the high two lie four a
// byte in bytes 8..11.
inline float q3_scale(const std::byte* scales, uint32_t j) {
  const uint32_t pair = byte_at(scales, j % 8);
  const uint32_t low = j < 8 ? pair & 15U : pair >> 4;
  const uint32_t high = byte_at(scales, 8 + j % 4) >> (2 * (j / 4)) & 3U;
  return static_cast<float>(static_cast<int>(low | high << 4) - 32);
}

inline void split_q3_k(const std::byte* block, GgufValues& out) {
  const float d = half_at(block, 108);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t pair = byte_at(block + 32, 32 * (i / 128) + i % 32);
    const uint32_t low = pair >> (2 * (i % 128 / 32)) & 3U;
    const uint32_t high = byte_at(block, i % 32) >> (i / 32) & 1U;
    out.codes[i] = code(low | high << 2);
  }
  for (uint32_t g = 0; g < 16; ++g) {
    out.scales[g] = d * q3_scale(block + 96, g);
  }
}

// Scale and minimum j of Q4_K and Q5_K, six bits each.
inline void split_scale_and_min(const std::byte* block, uint32_t j,
                                GgufValues& out) {
  const std::byte* scales = block + 4;
  uint32_t scale = byte_at(scales, j) & 63U;
  uint32_t min = byte_at(scales, j + 4) & 63U;
  if (j >= 4) {
    const uint32_t low = byte_at(scales, j + 4);
    scale = (low & 15U) | (byte_at(scales, j - 4) >> 6) << 4;
    min = (low >> 4) | (byte_at(scales, j) >> 6) << 4;
  }
  out.scales[j] = half_at(block, 0) * static_cast<float>(scale);
  out.mins[j] = -half_at(block, 2) * static_cast<float>(min);
}

// Q4_K, and Q5_K whose fifth bits are qh[32]; null in Q4_K.
inline void split_with_min(const std::byte* block, const std::byte* qh,
                           const std::byte* qs, GgufValues& out) {
  for (uint32_t j = 0; j < 8; ++j) {
    split_scale_and_min(block, j, out);
    for (uint32_t l = 0; l < 32; ++l) {
      uint32_t q = byte_at(qs, 32 * (j / 2) + l) >> (4 * (j % 2)) & 15U;
      if (qh != nullptr) q |= (byte_at(qh, l) >> j & 1U) << 4;
      out.codes[32 * j + l] = code(q);
    }
  }
}

inline void split_q6_k(const std::byte* block, GgufValues& out) {
  const float d = half_at(block, 208);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t n = i / 128;
    const uint32_t k = i % 128 / 32;
    const uint32_t l = i % 32;
    const uint32_t low =
        byte_at(block, 64 * n + 32 * (k % 2) + l) >> (k < 2 ? 0 : 4) & 15U;
    const uint32_t high = byte_at(block + 128, 32 * n + l) >> (2 * k) & 3U;
    out.codes[i] = code(low | high << 4, 32);
  }
  for (uint32_t g = 0; g < 16; ++g) {
    out.scales[g] = d * static_cast<float>(load_as<int8_t>(block + 192, g));
  }
}

inline void split_32(uint32_t format, const std::byte* block, GgufValues& out) {
  out.scales[0] = half_at(block, 0);
  switch (format) {
    case TSR_WEIGHT_Q4_1:
      out.mins[0] = half_at(block, 2);
      return split_nibbles(block + 4, out);
    case TSR_WEIGHT_Q5_0:
      return split_five_bits(block + 6, load_as<uint32_t>(block + 2, 0), 16,
                             out);
    case TSR_WEIGHT_Q5_1:
      out.mins[0] = half_at(block, 2);
      return split_five_bits(block + 8, load_as<uint32_t>(block + 4, 0), 0,
                             out);
    case TSR_WEIGHT_Q8_0:
      std::memcpy(out.codes, block + 2, 32);
      return;
    case TSR_WEIGHT_IQ4_NL:
      for (uint32_t i = 0; i < 32; ++i) {
        out.codes[i] = kIq4Values[low_bits(block + 2, i)];
      }
      return;
    default:  // Q4_0
      return split_nibbles(block + 2, out);
  }
}

}  // namespace detail

// Null if `format` is not one.
inline const GgufBlock* find_gguf_block(uint32_t format) {
  for (const GgufBlock& block : detail::kBlocks) {
    if (block.format == format) return &block;
  }
  return nullptr;
}

// Fills the codes, and the scales and minima of the groups.
inline void split_gguf_block(const GgufBlock& kind, const std::byte* block,
                             GgufValues& out) {
  switch (kind.format) {
    case TSR_WEIGHT_Q2_K:
      return detail::split_q2_k(block, out);
    case TSR_WEIGHT_Q3_K:
      return detail::split_q3_k(block, out);
    case TSR_WEIGHT_Q4_K:
      return detail::split_with_min(block, nullptr, block + 16, out);
    case TSR_WEIGHT_Q5_K:
      return detail::split_with_min(block, block + 16, block + 48, out);
    case TSR_WEIGHT_Q6_K:
      return detail::split_q6_k(block, out);
    default:
      return detail::split_32(kind.format, block, out);
  }
}

}  // namespace tessera::sdk::packing
