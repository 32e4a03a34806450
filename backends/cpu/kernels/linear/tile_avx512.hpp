// SPDX-License-Identifier: Apache-2.0
//
// Codes of packed tiles in zmm registers; see tile_scalar.hpp.

#pragma once

#include "backends/cpu/kernels/linear/tile_scalar.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

template <>
struct Tile<Avx512> {
  using F = Avx512::F;

  static constexpr int kRowsAtOnce = 4;
  static constexpr int kDenseRows = 4;

  static void unpack_i8(const uint8_t* codes, F (&out)[4]) {
    const __m512i dwords = _mm512_loadu_si512(codes);
    out[0].v = i8_column<24>(dwords);
    out[1].v = i8_column<16>(dwords);
    out[2].v = i8_column<8>(dwords);
    out[3].v = i8_column<0>(dwords);
  }
  // vpermps looks only at the low four bits of an index: a shift and a lookup
  // turn a nibble into its float.
  template <bool kMinusEight>
  static void unpack_u4(const uint8_t* codes, F (&out)[8]) {
    constexpr float kShift = kMinusEight ? 8.0f : 0.0f;
    const __m512 table = _mm512_sub_ps(
        _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_set1_ps(kShift));
    look_up(_mm512_loadu_si512(codes), table, out);
  }
  static void look_up_u4(const uint8_t* codes, const float* values,
                         F (&out)[8]) {
    look_up(_mm512_loadu_si512(codes), _mm512_loadu_ps(values), out);
  }

  using I = __m512i;
  static I load_u32(const void* from) { return _mm512_loadu_si512(from); }
  static I load_u8(const void* from) {
    return _mm512_cvtepu8_epi32(
        _mm_loadu_si128(static_cast<const __m128i*>(from)));
  }
  template <int kShift>
  static I shift(I a) {
    if constexpr (kShift < 0) {
      return _mm512_slli_epi32(a, -kShift);
    } else {
      return _mm512_srli_epi32(a, kShift);
    }
  }
  static I right(I a, int count) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(count));
  }
  static I bits(I a, uint32_t mask) {
    return _mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(mask)));
  }
  static I either(I a, I b) { return _mm512_or_si512(a, b); }
  static I larger(I a, I b) { return _mm512_max_epi32(a, b); }
  static F number(I a) { return {_mm512_cvtepi32_ps(a)}; }
  static F float_of(I a) { return {_mm512_castsi512_ps(a)}; }

  static I bits_of(F a) { return _mm512_castps_si512(a.v); }

  static F from_i32(const int32_t* values) {
    return {_mm512_cvtepi32_ps(_mm512_loadu_si512(values))};
  }
  static void store_codes(const F (&x)[4], int32_t shift, uint8_t* out) {
    const __m512i all = _mm512_set1_epi32(shift);
    const auto dwords = [&](const F& v) {
      return _mm512_add_epi32(_mm512_cvtps_epi32(v.v), all);
    };
    // Packing keeps to quarters of a register.
    const __m512i bytes =
        _mm512_packus_epi16(_mm512_packs_epi32(dwords(x[0]), dwords(x[1])),
                            _mm512_packs_epi32(dwords(x[2]), dwords(x[3])));
    const __m512i order =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, bytes));
  }
  static F fused(F a, F b, F c) { return Avx512::fma(a, b, c); }

 private:
  static void look_up(__m512i dwords, __m512 table, F (&out)[8]) {
    out[0].v = _mm512_permutexvar_ps(dwords, table);
    out[1].v = u4_column<8>(dwords, table);
    out[2].v = u4_column<16>(dwords, table);
    out[3].v = u4_column<24>(dwords, table);
    out[4].v = u4_column<4>(dwords, table);
    out[5].v = u4_column<12>(dwords, table);
    out[6].v = u4_column<20>(dwords, table);
    out[7].v = u4_column<28>(dwords, table);
  }
  template <int kShift>
  static __m512 i8_column(__m512i dwords) {
    return _mm512_cvtepi32_ps(
        _mm512_srai_epi32(_mm512_slli_epi32(dwords, kShift), 24));
  }
  template <int kShift>
  static __m512 u4_column(__m512i dwords, __m512 table) {
    return _mm512_permutexvar_ps(_mm512_srli_epi32(dwords, kShift), table);
  }
};

}  // namespace tessera::cpu
