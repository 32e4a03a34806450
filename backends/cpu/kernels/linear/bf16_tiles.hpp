// SPDX-License-Identifier: Apache-2.0
//
// 64 bytes of a tile's codes as pairs of bf16 columns for vdpbf16ps, exactly:
// lane = row of the tile, each half one column.  Only files compiled for
// AVX-512 BF16 and VBMI may include this.

#pragma once

#include <immintrin.h>
#include <stdint.h>

#include <array>

#include "backends/cpu/kernels/linear/float_tiles.hpp"
#include "backends/cpu/kernels/linear/tile_avx512.hpp"

namespace tessera::cpu {

constexpr uint16_t upper_half(float value) {
  return static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
}

// Code c of a format with nibbles and high bits as bf16, c < 64.  vpermw reads
// five bits of an index, so nibbles alone appear twice.
constexpr std::array<uint16_t, 64> bf16_of_codes(const TileFormat& row) {
  std::array<uint16_t, 64> values{};
  const int count = 16 << row.high_bits;
  for (int i = 0; i < 64; ++i) {
    values[static_cast<size_t>(i)] = upper_half(nibble_value(row, i % count));
  }
  return values;
}

// Of a code of eight bits below 128, the upper or the lower byte of its bf16.
// What lies above 127 has the same magnitude, or for kI8 that of -code.
constexpr uint16_t bf16_of_byte(Codes codes, int code) {
  if (codes == Codes::kI8) return upper_half(static_cast<float>(code));
  const bool is_e4m3 = codes == Codes::kF8E4M3;
  const int mantissa = is_e4m3 ? 3 : 2;
  if (is_e4m3 ? code == 0x7f : code > 0x7c) return 0x7fc0;
  if (!is_e4m3 && code == 0x7c) return 0x7f80;
  const uint32_t bits = static_cast<uint32_t>(code) << (23 - mantissa);
  return upper_half(__builtin_bit_cast(float, bits) *
                    (is_e4m3 ? 0x1p120f : 0x1p112f));
}
constexpr std::array<uint8_t, 128> half_of_bytes(Codes codes, bool upper) {
  std::array<uint8_t, 128> bytes{};
  for (int i = 0; i < 128; ++i) {
    const int value = bf16_of_byte(codes, i);
    bytes[static_cast<size_t>(i)] =
        static_cast<uint8_t>(upper ? value >> 8 : value & 255);
  }
  return bytes;
}

template <int kFormat>
struct Bf16Values {
  static constexpr TileFormat kRow = kTileFormats[kFormat];
  alignas(64) static constexpr std::array<uint16_t, 64> kCodes =
      bf16_of_codes(kRow);
  alignas(64) static constexpr std::array<uint8_t, 128> kUpper =
      half_of_bytes(kRow.codes, true);
  alignas(64) static constexpr std::array<uint8_t, 128> kLower =
      half_of_bytes(kRow.codes, false);
};

template <typename V>
struct Bf16Tiles {
  using F = typename V::F;
  using W = __m512i;
  using X = uint16_t;

  static constexpr int kColumnsOfW = 2;
  static constexpr int kFewRows = 8;
  static constexpr int kFewTiles = 2;
  // bf16 cannot hold all differences of codes and zero points.
  static constexpr bool kZerosAreMins = true;

  // What look-ups need, in registers.
  template <int kFormat>
  struct Tables {
    using Values = Bf16Values<kFormat>;
    static constexpr bool kIsByte = code_bits(Values::kRow.codes) == 8;

    __m512i first = _mm512_load_si512(kIsByte ? Values::kUpper.data()
                                              : data(Values::kCodes, 0));
    __m512i second = _mm512_load_si512(kIsByte ? Values::kUpper.data() + 64
                                               : data(Values::kCodes, 32));
    __m512i third = _mm512_load_si512(Values::kLower.data());
    __m512i fourth = _mm512_load_si512(Values::kLower.data() + 64);

   private:
    static const uint8_t* data(const std::array<uint16_t, 64>& values,
                               size_t from) {
      return reinterpret_cast<const uint8_t*>(values.data() + from);
    }
  };

  // A pair of columns of a row of x.
  static W input(const X* x) {
    int32_t pair;
    __builtin_memcpy(&pair, x, sizeof(pair));
    return _mm512_set1_epi32(pair);
  }
  static F add(F acc, W w, W in) {
    return {_mm512_dpbf16_ps(acc.v, (__m512bh)w, (__m512bh)in)};
  }

  template <int kFormat, int kStep, bool kHasZeros, int kCount>
  static void unpack(const Tables<kFormat>& tables, const uint8_t* codes,
                     const uint8_t* high, W (&out)[kCount]) {
    constexpr TileFormat kRow = kTileFormats[kFormat];
    const __m512i v = _mm512_loadu_si512(codes);
    if constexpr (kRow.codes == Codes::kBf16) {
      out[0] = v;
    } else if constexpr (code_bits(kRow.codes) == 8) {
      unpack_bytes<kRow.codes>(tables, v, out);
    } else if constexpr (kRow.high_bits == 0) {
      out[0] = _mm512_permutexvar_epi16(v, tables.first);
      out[1] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 4), tables.first);
      out[2] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 8), tables.first);
      out[3] = _mm512_permutexvar_epi16(_mm512_srli_epi16(v, 12), tables.first);
    } else {
      const __m512i rest = _mm512_loadu_si512(high);
      out[0] = wide<kFormat, kStep, 0>(tables, v, rest);
      out[1] = wide<kFormat, kStep, 1>(tables, v, rest);
      out[2] = wide<kFormat, kStep, 2>(tables, v, rest);
      out[3] = wide<kFormat, kStep, 3>(tables, v, rest);
    }
  }

 private:
  template <int kShift>
  static __m512i shift(__m512i v) {
    if constexpr (kShift < 0) {
      return _mm512_slli_epi16(v, -kShift);
    } else {
      return _mm512_srli_epi16(v, kShift);
    }
  }

  // The nibbles at place kPlace of each half, with their high bits.
  template <int kFormat, int kStep, int kPlace>
  static __m512i wide(const Tables<kFormat>& tables, __m512i codes,
                      __m512i high) {
    constexpr int kBits = kTileFormats[kFormat].high_bits;
    constexpr int kHigh = kBits * (4 * kStep + kPlace) - 4;
    // a & 15 | b & ~15, of which the look-up reads the low five or six bits.
    const __m512i index = _mm512_ternarylogic_epi32(_mm512_set1_epi16(15),
                                                    shift<4 * kPlace>(codes),
                                                    shift<kHigh>(high), 0xca);
    if constexpr (kBits == 1) {
      return _mm512_permutexvar_epi16(index, tables.first);
    } else {
      return _mm512_permutex2var_epi16(tables.first, index, tables.second);
    }
  }

  // Columns (0, 2) and (1, 3).
  template <Codes kCodes, typename AnyTables>
  static void unpack_bytes(const AnyTables& tables, __m512i v,
                           __m512i (&out)[2]) {
    constexpr bool kIsI8 = kCodes == Codes::kI8;
    const __m512i index = kIsI8 ? _mm512_abs_epi8(v) : v;
    __m512i upper =
        _mm512_permutex2var_epi8(tables.first, index, tables.second);
    const __m512i lower =
        _mm512_permutex2var_epi8(tables.third, index, tables.fourth);
    if constexpr (kIsI8) {
      // Look-ups read seven bits, so |-128| finds the zero; it is 0xc300.
      const __m512i least = _mm512_set1_epi8(-128);
      upper = _mm512_mask_mov_epi8(upper, _mm512_cmpeq_epi8_mask(v, least),
                                   _mm512_set1_epi8(0x43));
    }
    // The sign is the code's: upper | v & 0x80.
    upper = _mm512_ternarylogic_epi32(upper, v, _mm512_set1_epi8(-128), 0xf8);
    const __m512i low_bytes = _mm512_set1_epi16(0xff);
    out[0] = _mm512_ternarylogic_epi32(low_bytes, lower,
                                       _mm512_slli_epi16(upper, 8), 0xca);
    out[1] = _mm512_ternarylogic_epi32(low_bytes, _mm512_srli_epi16(lower, 8),
                                       upper, 0xca);
  }
};

}  // namespace tessera::cpu
