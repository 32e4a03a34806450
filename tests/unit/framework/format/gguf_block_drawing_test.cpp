// SPDX-License-Identifier: Apache-2.0
//
// Every byte of every block, at every value, against the drawings of
// tessera/types.h written out value by value.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "framework/format/gguf/gguf_block.hpp"
#include "framework/tensor/half.hpp"
#include "tessera/types.h"

namespace tessera::format {
namespace {

using Bytes = std::vector<uint8_t>;

double half(const Bytes& b, size_t at) {
  return f16_to_f32(static_cast<uint16_t>(b[at] | b[at + 1] << 8));
}

int bits(const Bytes& b, size_t at, int shift, int count) {
  return b[at] >> shift & ((1 << count) - 1);
}

// Code i of 32: nibbles in halves.
int nibble32(const Bytes& b, size_t qs, int i) {
  return bits(b, qs + static_cast<size_t>(i % 16), i / 16 * 4, 4);
}

int fifth32(const Bytes& b, size_t qh, int i) {
  return bits(b, qh + static_cast<size_t>(i / 8), i % 8, 1) * 16;
}

double q4_k_scale(const Bytes& b, size_t j) {
  return j < 4 ? bits(b, 4 + j, 0, 6)
               : bits(b, 8 + j, 0, 4) + 16 * bits(b, j, 6, 2);
}

double q4_k_min(const Bytes& b, size_t j) {
  return j < 4 ? bits(b, 8 + j, 0, 6)
               : bits(b, 8 + j, 4, 4) + 16 * bits(b, 4 + j, 6, 2);
}

double q4_k(const Bytes& b, size_t i, size_t qs, int fifth) {
  const size_t j = i / 32;
  const int low =
      bits(b, qs + 32 * (j / 2) + i % 32, static_cast<int>(j % 2) * 4, 4);
  return half(b, 0) * q4_k_scale(b, j) * (low + 16 * fifth) -
         half(b, 2) * q4_k_min(b, j);
}

double q2_k(const Bytes& b, int i) {
  const auto at = static_cast<size_t>(i / 128 * 32 + i % 32);
  const int q = bits(b, 16 + at, i % 128 / 32 * 2, 2);
  const auto s = static_cast<size_t>(i / 16);
  return half(b, 80) * bits(b, s, 0, 4) * q - half(b, 82) * bits(b, s, 4, 4);
}

double q3_k(const Bytes& b, int i) {
  const auto at = static_cast<size_t>(i / 128 * 32 + i % 32);
  const int low = bits(b, 32 + at, i % 128 / 32 * 2, 2);
  const int high = bits(b, static_cast<size_t>(i % 32), i / 32, 1);
  const int j = i / 16;
  const int scale =
      bits(b, 96 + static_cast<size_t>(j % 8), j / 8 * 4, 4) +
      16 * bits(b, 104 + static_cast<size_t>(j % 4), j / 4 * 2, 2) - 32;
  return half(b, 108) * scale * (low + 4 * high - 4);
}

double q6_k(const Bytes& b, int i) {
  const int n = i / 128;
  const int k = i % 128 / 32;
  const int l = i % 32;
  const int low =
      bits(b, static_cast<size_t>(64 * n + k % 2 * 32 + l), k / 2 * 4, 4);
  const int high = bits(b, static_cast<size_t>(128 + 32 * n + l), 2 * k, 2);
  const auto scale = static_cast<int8_t>(b[192 + static_cast<size_t>(i / 16)]);
  return half(b, 208) * scale * (low + 16 * high - 32);
}

double drawn_value(uint32_t format, const Bytes& b, int i) {
  constexpr int kTable[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};
  const auto at = static_cast<size_t>(i);
  switch (format) {
    case TSR_WEIGHT_Q4_0:
      return (nibble32(b, 2, i) - 8) * half(b, 0);
    case TSR_WEIGHT_Q4_1:
      return nibble32(b, 4, i) * half(b, 0) + half(b, 2);
    case TSR_WEIGHT_Q5_0:
      return (nibble32(b, 6, i) + fifth32(b, 2, i) - 16) * half(b, 0);
    case TSR_WEIGHT_Q5_1:
      return (nibble32(b, 8, i) + fifth32(b, 4, i)) * half(b, 0) + half(b, 2);
    case TSR_WEIGHT_Q8_0:
      return static_cast<int8_t>(b[2 + at]) * half(b, 0);
    case TSR_WEIGHT_IQ4_NL:
      return kTable[nibble32(b, 2, i)] * half(b, 0);
    case TSR_WEIGHT_Q2_K:
      return q2_k(b, i);
    case TSR_WEIGHT_Q3_K:
      return q3_k(b, i);
    case TSR_WEIGHT_Q4_K:
      return q4_k(b, at, 16, 0);
    case TSR_WEIGHT_Q5_K:
      return q4_k(b, at, 48, bits(b, 16 + at % 32, i / 32, 1));
    default:
      return q6_k(b, i);
  }
}

const uint32_t kFormats[] = {TSR_WEIGHT_Q4_0, TSR_WEIGHT_Q4_1,  TSR_WEIGHT_Q5_0,
                             TSR_WEIGHT_Q5_1, TSR_WEIGHT_Q8_0,  TSR_WEIGHT_Q2_K,
                             TSR_WEIGHT_Q3_K, TSR_WEIGHT_Q4_K,  TSR_WEIGHT_Q5_K,
                             TSR_WEIGHT_Q6_K, TSR_WEIGHT_IQ4_NL};

// f16 fields would be NaN or infinite half the time: they stay below 2.
void clear_high_exponents(uint32_t format, Bytes& block) {
  std::vector<size_t> halves = {0};
  if (format == TSR_WEIGHT_Q2_K) halves = {80, 82};
  if (format == TSR_WEIGHT_Q3_K) halves = {108};
  if (format == TSR_WEIGHT_Q6_K) halves = {208};
  if (format == TSR_WEIGHT_Q4_1 || format == TSR_WEIGHT_Q5_1 ||
      format == TSR_WEIGHT_Q4_K || format == TSR_WEIGHT_Q5_K) {
    halves = {0, 2};
  }
  for (const size_t at : halves) block[at + 1] &= 0xbfU;
}

TEST(GgufBlockDrawing, HoldsForEveryByteAtEveryPlace) {
  std::mt19937 rng(42);
  for (const uint32_t format : kFormats) {
    const GgufBlock& shape = *find_gguf_block(format);
    Bytes block(shape.bytes);
    std::vector<double> values(shape.values);
    for (size_t at = 0; at < block.size(); ++at) {
      for (auto& byte : block) byte = static_cast<uint8_t>(rng() % 256);
      for (int value = 0; value < 256; ++value) {
        block[at] = static_cast<uint8_t>(value);
        clear_high_exponents(format, block);
        decode_gguf_block(format,
                          reinterpret_cast<const std::byte*>(block.data()),
                          values.data());
        for (size_t i = 0; i < values.size(); ++i) {
          ASSERT_EQ(values[i], drawn_value(format, block, static_cast<int>(i)))
              << "format " << format << " byte " << at << " value " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::format
