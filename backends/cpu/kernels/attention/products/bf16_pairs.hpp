// SPDX-License-Identifier: Apache-2.0
//
// Rows of a KV cache as pairs of bf16, which vdpbf16ps multiplies: two
// neighbours of one key, or the same column of two values.  Bf16 codes are
// taken as they are, int8 ones become bf16 exactly.

#pragma once

#include <stddef.h>

#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

// Bytes that a register is loaded from.
template <typename Byte, size_t kCount>
struct alignas(64) Lanes {
  Byte at[kCount] = {};
};

// The upper or lower bytes of bf16 0 .. 127.
constexpr Lanes<uint8_t, 128> bytes_of_codes(bool upper) {
  Lanes<uint8_t, 128> bytes;
  for (uint32_t i = 1; i < 128; ++i) {
    uint32_t exponent = 0;
    while ((i >> (exponent + 1)) != 0) ++exponent;
    const uint32_t fraction = (i << (7 - exponent)) & 0x7f;
    const uint32_t bits = (127 + exponent) << 7 | fraction;
    bytes.at[i] = static_cast<uint8_t>(upper ? bits >> 8 : bits);
  }
  return bytes;
}

// bf16 of 64 codes of -127 .. 127, looked up by magnitude.
class CodeTables {
 public:
  CodeTables() {
    static constexpr Lanes<uint8_t, 128> kUpper = bytes_of_codes(true);
    static constexpr Lanes<uint8_t, 128> kLower = bytes_of_codes(false);
    for (int64_t i = 0; i < 2; ++i) {
      upper_[i] = _mm512_load_si512(kUpper.at + 64 * i);
      lower_[i] = _mm512_load_si512(kLower.at + 64 * i);
    }
  }

  // out[0]: of each 16 bytes the first eight, out[1]: the others.
  [[gnu::always_inline]] void widen(__m512i codes, __m512i (&out)[2]) const {
    const __m512i at = _mm512_abs_epi8(codes);
    const __m512i lower = _mm512_permutex2var_epi8(lower_[0], at, lower_[1]);
    const __m512i magnitude =
        _mm512_permutex2var_epi8(upper_[0], at, upper_[1]);
    constexpr int kOrAnd = 0xf8;  // magnitude | (codes & sign)
    const __m512i upper = _mm512_ternarylogic_epi32(
        magnitude, codes, _mm512_set1_epi8(-128), kOrAnd);
    out[0] = _mm512_unpacklo_epi8(lower, upper);
    out[1] = _mm512_unpackhi_epi8(lower, upper);
  }

 private:
  __m512i upper_[2];
  __m512i lower_[2];
};

// What is left of a row from d on, as a mask of bytes or of 16-bit words.
inline uint64_t bits_left(int64_t d, int64_t head_dim, int64_t most) {
  const int64_t left = head_dim - d;
  if (left <= 0) return 0;
  if (left >= most)
    return most == 64 ? ~uint64_t{0} : (uint64_t{1} << most) - 1;
  return (uint64_t{1} << left) - 1;
}

// Word 2 j of the pairs comes from column `start` + j of a, 2 j + 1 of b.
constexpr Lanes<int16_t, 32> interleaved_words(int start) {
  Lanes<int16_t, 32> word;
  for (int j = 0; j < 32; ++j) {
    word.at[j] = static_cast<int16_t>(start + j / 2 + (j % 2 == 0 ? 0 : 32));
  }
  return word;
}

// How two halves of rows are to lie so that widen leaves columns 0 .. 15 in one
// vector, 16 .. 31 in the other.
constexpr Lanes<int8_t, 64> interleaved_bytes() {
  Lanes<int8_t, 64> byte;
  for (int i = 0; i < 64; ++i) {
    const int column = i / 16 * 4 + i % 8 / 2 + (i % 16 < 8 ? 0 : 16);
    byte.at[i] = static_cast<int8_t>(column + (i % 2 == 0 ? 0 : 64));
  }
  return byte;
}

template <uint32_t kDtype>
class Bf16Pairs;

template <>
class Bf16Pairs<TSR_BF16> {
 public:
  Bf16Pairs() {
    static constexpr Lanes<int16_t, 32> kFirst = interleaved_words(0);
    static constexpr Lanes<int16_t, 32> kSecond = interleaved_words(16);
    first_ = _mm512_load_si512(kFirst.at);
    second_ = _mm512_load_si512(kSecond.at);
  }

  // Columns of a key that one step takes, kStepVecs vectors of pairs.
  static constexpr int64_t kStep = 32;
  static constexpr int kStepVecs = 1;

  [[gnu::always_inline]] void load_key(const std::byte* row, int64_t d,
                                       int64_t head_dim,
                                       __m512i (&out)[kStepVecs]) const {
    out[0] = load(row, d, head_dim);
  }
  // The order that load_key leaves columns in.
  static void order_query(__m512i (&)[kStepVecs]) {}

  // Columns d .. d + 31 of two rows, sixteen pairs a vector.
  [[gnu::always_inline]] void load_values(const std::byte* a,
                                          const std::byte* b, int64_t d,
                                          int64_t head_dim,
                                          __m512i (&out)[2]) const {
    const __m512i left = load(a, d, head_dim);
    const __m512i right = load(b, d, head_dim);
    out[0] = _mm512_permutex2var_epi16(left, first_, right);
    out[1] = _mm512_permutex2var_epi16(left, second_, right);
  }

 private:
  static __m512i load(const std::byte* row, int64_t d, int64_t head_dim) {
    const std::byte* from = row + 2 * d;
    if (d + 32 <= head_dim) return _mm512_loadu_si512(from);
    return _mm512_maskz_loadu_epi16(
        static_cast<__mmask32>(bits_left(d, head_dim, 32)), from);
  }

  __m512i first_;
  __m512i second_;
};

template <>
class Bf16Pairs<TSR_I8> {
 public:
  Bf16Pairs() {
    static constexpr Lanes<int8_t, 64> kBytes = interleaved_bytes();
    interleave_ = _mm512_load_si512(kBytes.at);
  }

  static constexpr int64_t kStep = 64;
  static constexpr int kStepVecs = 2;

  [[gnu::always_inline]] void load_key(const std::byte* row, int64_t d,
                                       int64_t head_dim,
                                       __m512i (&out)[kStepVecs]) const {
    const __m512i codes =
        d + 64 <= head_dim
            ? _mm512_loadu_si512(row + d)
            : _mm512_maskz_loadu_epi8(bits_left(d, head_dim, 64), row + d);
    tables_.widen(codes, out);
  }
  static void order_query(__m512i (&q)[kStepVecs]) {
    const __m512i first = _mm512_shuffle_i64x2(q[0], q[1], 0x88);
    q[1] = _mm512_shuffle_i64x2(q[0], q[1], 0xdd);
    q[0] = first;
  }

  [[gnu::always_inline]] void load_values(const std::byte* a,
                                          const std::byte* b, int64_t d,
                                          int64_t head_dim,
                                          __m512i (&out)[2]) const {
    tables_.widen(
        _mm512_permutex2var_epi8(load_half(a, d, head_dim), interleave_,
                                 load_half(b, d, head_dim)),
        out);
  }

 private:
  static __m512i load_half(const std::byte* row, int64_t d, int64_t head_dim) {
    const std::byte* from = row + d;
    if (d + 32 <= head_dim) {
      return _mm512_castsi256_si512(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    return _mm512_castsi256_si512(_mm256_maskz_loadu_epi8(
        static_cast<__mmask32>(bits_left(d, head_dim, 32)), from));
  }

  CodeTables tables_;
  __m512i interleave_;
};

}  // namespace tessera::cpu
