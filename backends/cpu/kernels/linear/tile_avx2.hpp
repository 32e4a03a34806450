// SPDX-License-Identifier: Apache-2.0
//
// Codes of packed tiles as pairs of ymm registers; see tile_scalar.hpp.

#pragma once

#include "backends/cpu/kernels/linear/tile_scalar.hpp"
#include "backends/cpu/kernels/ops/simd_avx2.hpp"

namespace tessera::cpu {

template <>
struct Tile<Avx2> {
  using F = Avx2::F;

  static constexpr int kRowsAtOnce = 2;
  static constexpr int kDenseRows = 2;

  static void unpack_i8(const uint8_t* codes, F (&out)[4]) {
    const __m256i lo = load(codes);
    const __m256i hi = load(codes + 32);
    out[0] = {i8_column<24>(lo), i8_column<24>(hi)};
    out[1] = {i8_column<16>(lo), i8_column<16>(hi)};
    out[2] = {i8_column<8>(lo), i8_column<8>(hi)};
    out[3] = {i8_column<0>(lo), i8_column<0>(hi)};
  }
  template <bool kMinusEight>
  static void unpack_u4(const uint8_t* codes, F (&out)[8]) {
    const __m256i lo = load(codes);
    const __m256i hi = load(codes + 32);
    out[0] = {u4_column<kMinusEight, 0>(lo), u4_column<kMinusEight, 0>(hi)};
    out[1] = {u4_column<kMinusEight, 8>(lo), u4_column<kMinusEight, 8>(hi)};
    out[2] = {u4_column<kMinusEight, 16>(lo), u4_column<kMinusEight, 16>(hi)};
    out[3] = {u4_column<kMinusEight, 24>(lo), u4_column<kMinusEight, 24>(hi)};
    out[4] = {u4_column<kMinusEight, 4>(lo), u4_column<kMinusEight, 4>(hi)};
    out[5] = {u4_column<kMinusEight, 12>(lo), u4_column<kMinusEight, 12>(hi)};
    out[6] = {u4_column<kMinusEight, 20>(lo), u4_column<kMinusEight, 20>(hi)};
    out[7] = {u4_column<kMinusEight, 28>(lo), u4_column<kMinusEight, 28>(hi)};
  }
  static void look_up_u4(const uint8_t* codes, const float* table,
                         F (&out)[8]) {
    const I dwords = load_u32(codes);
    out[0] = looked_up(dwords, table);
    out[1] = looked_up(shift<8>(dwords), table);
    out[2] = looked_up(shift<16>(dwords), table);
    out[3] = looked_up(shift<24>(dwords), table);
    out[4] = looked_up(shift<4>(dwords), table);
    out[5] = looked_up(shift<12>(dwords), table);
    out[6] = looked_up(shift<20>(dwords), table);
    out[7] = looked_up(shift<28>(dwords), table);
  }

  struct I {
    __m256i lo;
    __m256i hi;
  };
  static I load_u32(const void* from) {
    const auto* p = static_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(p), _mm256_loadu_si256(p + 1)};
  }
  static I load_u8(const void* from) {
    const auto* p = static_cast<const char*>(from);
    const auto widen = [](const char* eight) {
      return _mm256_cvtepu8_epi32(
          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight)));
    };
    return {widen(p), widen(p + 8)};
  }
  template <int kShift>
  static I shift(I a) {
    if constexpr (kShift < 0) {
      return {_mm256_slli_epi32(a.lo, -kShift),
              _mm256_slli_epi32(a.hi, -kShift)};
    } else {
      return {_mm256_srli_epi32(a.lo, kShift), _mm256_srli_epi32(a.hi, kShift)};
    }
  }
  static I right(I a, int count) {
    const __m128i shift_count = _mm_cvtsi32_si128(count);
    return {_mm256_srl_epi32(a.lo, shift_count),
            _mm256_srl_epi32(a.hi, shift_count)};
  }
  static I bits(I a, uint32_t mask) {
    const __m256i wide = _mm256_set1_epi32(static_cast<int>(mask));
    return {_mm256_and_si256(a.lo, wide), _mm256_and_si256(a.hi, wide)};
  }
  static I either(I a, I b) {
    return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
  }
  static I larger(I a, I b) {
    return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)};
  }
  static F number(I a) {
    return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
  }
  static F float_of(I a) {
    return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
  }

  static I bits_of(F a) {
    return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)};
  }

  static F from_i32(const int32_t* values) {
    const auto* p = reinterpret_cast<const __m256i*>(values);
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(p)),
            _mm256_cvtepi32_ps(_mm256_loadu_si256(p + 1))};
  }
  static void store_codes(const F (&x)[4], int32_t shift, uint8_t* out) {
    const __m256i all = _mm256_set1_epi32(shift);
    const auto words = [&](const F& v) {
      return _mm256_packs_epi32(
          _mm256_add_epi32(_mm256_cvtps_epi32(v.lo), all),
          _mm256_add_epi32(_mm256_cvtps_epi32(v.hi), all));
    };
    // Packing keeps to halves of a register.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t i = 0; i < 2; ++i) {
      const __m256i bytes =
          _mm256_packus_epi16(words(x[2 * i]), words(x[2 * i + 1]));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out) + i,
                          _mm256_permutevar8x32_epi32(bytes, order));
    }
  }
  static F fused(F a, F b, F c) { return Avx2::fma(a, b, c); }

 private:
  // table[low four bits]: bit 3 picks the half.
  static F looked_up(I a, const float* table) {
    const __m256 low = _mm256_loadu_ps(table);
    const __m256 high = _mm256_loadu_ps(table + 8);
    const auto one = [&](__m256i codes) {
      return _mm256_blendv_ps(
          _mm256_permutevar8x32_ps(low, codes),
          _mm256_permutevar8x32_ps(high, codes),
          _mm256_castsi256_ps(_mm256_slli_epi32(codes, 28)));
    };
    return {one(a.lo), one(a.hi)};
  }
  static __m256i load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  // The byte that lies kShift bits below the top of each dword, sign-extended.
  template <int kShift>
  static __m256 i8_column(__m256i dwords) {
    return _mm256_cvtepi32_ps(
        _mm256_srai_epi32(_mm256_slli_epi32(dwords, kShift), 24));
  }
  // The nibble at bit kShift of each dword.
  template <bool kMinusEight, int kShift>
  static __m256 u4_column(__m256i dwords) {
    __m256i code = _mm256_and_si256(_mm256_srli_epi32(dwords, kShift),
                                    _mm256_set1_epi32(15));
    if constexpr (kMinusEight) {
      code = _mm256_sub_epi32(code, _mm256_set1_epi32(8));
    }
    return _mm256_cvtepi32_ps(code);
  }
};

}  // namespace tessera::cpu
