// SPDX-License-Identifier: Apache-2.0
//
// Sixteen f32 lanes in one zmm register; see simd_scalar.hpp.  Only files
// compiled for AVX-512 F, BW, DQ and VL may include this.

#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/ops/unroll.hpp"
#include "tessera/portable_math.h"
#include "tessera/types.h"

namespace tessera::cpu {

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kTileRows = 6;  // 24 accumulators of 32 registers
  static constexpr int kTileVecs = 4;
  static constexpr int kFewRows = 4;
  static constexpr int kFewSums = 16;

  struct F {
    __m512 v;
  };

  static F set1(float value) { return {_mm512_set1_ps(value)}; }
  static F zero() { return {_mm512_setzero_ps()}; }

  template <uint32_t kDtype>
  static F load(const void* base, int64_t index) {
    if constexpr (kDtype == TSR_F32) {
      return {_mm512_loadu_ps(static_cast<const float*>(base) + index)};
    } else if constexpr (kDtype == TSR_I8) {
      return {widen_i8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(
          static_cast<const int8_t*>(base) + index)))};
    } else {
      return {
          widen16<kDtype>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(
              static_cast<const uint16_t*>(base) + index)))};
    }
  }
  template <uint32_t kDtype>
  static F load_n(const void* base, int64_t index, int n) {
    const __mmask16 mask = first(n);
    if constexpr (kDtype == TSR_F32) {
      return {
          _mm512_maskz_loadu_ps(mask, static_cast<const float*>(base) + index)};
    } else if constexpr (kDtype == TSR_I8) {
      return {widen_i8(_mm_maskz_loadu_epi8(
          mask, static_cast<const int8_t*>(base) + index))};
    } else {
      return {widen16<kDtype>(_mm256_maskz_loadu_epi16(
          mask, static_cast<const uint16_t*>(base) + index))};
    }
  }

  template <uint32_t kDtype>
  static void store(void* base, int64_t index, F x) {
    if constexpr (kDtype == TSR_F32) {
      _mm512_storeu_ps(static_cast<float*>(base) + index, x.v);
    } else {
      store_n<kDtype>(base, index, x, kLanes);
    }
  }
  template <uint32_t kDtype>
  static void store_n(void* base, int64_t index, F x, int n) {
    const __mmask16 mask = first(n);
    if constexpr (kDtype == TSR_F32) {
      _mm512_mask_storeu_ps(static_cast<float*>(base) + index, mask, x.v);
    } else if constexpr (kDtype == TSR_I8) {
      _mm_mask_storeu_epi8(static_cast<int8_t*>(base) + index, mask,
                           _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(x.v)));
    } else {
      _mm256_mask_storeu_epi16(static_cast<uint16_t*>(base) + index, mask,
                               narrow16<kDtype>(x.v));
    }
  }

  static F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
  static F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
  static F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
  static F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
  static F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
  static F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
  static F select_lt(F a, F b, F x, F y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v,
                                 x.v)};
  }
  static F select_nan(F a, F x, F y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q),
                                 y.v, x.v)};
  }
  static F and_bits(F a, uint32_t mask) {
    return {_mm512_castsi512_ps(_mm512_and_epi32(
        _mm512_castps_si512(a.v), _mm512_set1_epi32(static_cast<int>(mask))))};
  }
  static F scale_exponent(F p, F t) {
    return {_mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p.v),
                         _mm512_slli_epi32(_mm512_castps_si512(t.v), 23)))};
  }

  static float sum(F x) {
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(x.v), upper_half(x.v));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight),
                                   _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float max_lane(F x) {
    const __m256 eight =
        _mm256_max_ps(_mm512_castps512_ps256(x.v), upper_half(x.v));
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight),
                                   _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  // Lane i: the sum of the lanes of x[i].
  [[gnu::always_inline]] static F sum_each(const F (&x)[kFewSums]) {
    // Each step halves the vectors and doubles the sums that one holds.
    __m512 s[8];
    TSR_UNROLL
    for (int i = 0; i < 8; ++i) {
      const __m512 a = x[i].v;
      const __m512 b = x[i + 8].v;
      s[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
                           _mm512_shuffle_f32x4(a, b, 0xee));
    }
    // s[i]: quarters 0, 1 belong to x[i], quarters 2, 3 to x[i + 8].
    TSR_UNROLL
    for (int i = 0; i < 4; ++i) {
      s[i] = _mm512_add_ps(_mm512_shuffle_f32x4(s[i], s[i + 4], 0x88),
                           _mm512_shuffle_f32x4(s[i], s[i + 4], 0xdd));
    }
    // s[i]: quarters belong to x[i], x[i + 8], x[i + 4], x[i + 12].
    const __m512 t0 = _mm512_add_ps(_mm512_unpacklo_ps(s[0], s[2]),
                                    _mm512_unpackhi_ps(s[0], s[2]));
    const __m512 t1 = _mm512_add_ps(_mm512_unpacklo_ps(s[1], s[3]),
                                    _mm512_unpackhi_ps(s[1], s[3]));
    const __m512 sums =
        _mm512_add_ps(_mm512_unpacklo_ps(t0, t1), _mm512_unpackhi_ps(t0, t1));
    // Lanes within a quarter: x[+0], x[+1], x[+2], x[+3].
    return {_mm512_shuffle_f32x4(sums, sums, 0xd8)};
  }
  [[gnu::always_inline]] static void sum_each(const F (&x)[kFewSums],
                                              float* out) {
    _mm512_storeu_ps(out, sum_each(x).v);
  }
  // x[i] holds 16 / kCount lanes of each of kCount rows; afterwards x[r] holds
  // all of row r.
  template <int kCount>
  [[gnu::always_inline]] static void gather_rows(F (&x)[kCount]) {
    if constexpr (kCount == 2) {
      const __m512 first = _mm512_shuffle_f32x4(x[0].v, x[1].v, 0x44);
      x[1].v = _mm512_shuffle_f32x4(x[0].v, x[1].v, 0xee);
      x[0].v = first;
    } else if constexpr (kCount == 4) {
      gather_quarters(x[0].v, x[1].v, x[2].v, x[3].v);
    } else if constexpr (kCount == 8) {
      // Quarter k of low[i] is row 2 k of x[2 i] and x[2 i + 1], of high[i] row
      // 2 k + 1.
      __m512 low[4];
      __m512 high[4];
      TSR_UNROLL
      for (int i = 0; i < 4; ++i) {
        const __m512d a = _mm512_castps_pd(x[2 * i].v);
        const __m512d b = _mm512_castps_pd(x[2 * i + 1].v);
        low[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        high[i] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
      }
      gather_quarters(low[0], low[1], low[2], low[3]);
      gather_quarters(high[0], high[1], high[2], high[3]);
      TSR_UNROLL
      for (int i = 0; i < 4; ++i) {
        x[2 * i].v = low[i];
        x[2 * i + 1].v = high[i];
      }
    }
  }
  [[gnu::always_inline]] static void transpose(F (&x)[kLanes]) {
    __m512 s[kLanes];
    TSR_UNROLL
    for (int i = 0; i < kLanes; i += 4) transpose_quarters(x + i, s + i);
    // s[4 g + j], quarter k: column 4 k + j of rows 4 g .. 4 g + 3.
    TSR_UNROLL
    for (int j = 0; j < 4; ++j) {
      const __m512 a = _mm512_shuffle_f32x4(s[j], s[j + 4], 0x88);
      const __m512 b = _mm512_shuffle_f32x4(s[j], s[j + 4], 0xdd);
      const __m512 c = _mm512_shuffle_f32x4(s[j + 8], s[j + 12], 0x88);
      const __m512 d = _mm512_shuffle_f32x4(s[j + 8], s[j + 12], 0xdd);
      x[j].v = _mm512_shuffle_f32x4(a, c, 0x88);
      x[j + 4].v = _mm512_shuffle_f32x4(b, d, 0x88);
      x[j + 8].v = _mm512_shuffle_f32x4(a, c, 0xdd);
      x[j + 12].v = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
  }

 private:
  // Quarter j of vector i becomes quarter i of vector j.
  [[gnu::always_inline]] static void gather_quarters(__m512& a, __m512& b,
                                                     __m512& c, __m512& d) {
    const __m512 ab_low = _mm512_shuffle_f32x4(a, b, 0x44);
    const __m512 ab_high = _mm512_shuffle_f32x4(a, b, 0xee);
    const __m512 cd_low = _mm512_shuffle_f32x4(c, d, 0x44);
    const __m512 cd_high = _mm512_shuffle_f32x4(c, d, 0xee);
    a = _mm512_shuffle_f32x4(ab_low, cd_low, 0x88);
    b = _mm512_shuffle_f32x4(ab_low, cd_low, 0xdd);
    c = _mm512_shuffle_f32x4(ab_high, cd_high, 0x88);
    d = _mm512_shuffle_f32x4(ab_high, cd_high, 0xdd);
  }

  static __mmask16 first(int n) {
    return static_cast<__mmask16>((1u << n) - 1u);
  }
  static __m256 upper_half(__m512 v) {
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
  }
  static __m512 widen_i8(__m128i codes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
  }
  template <uint32_t kDtype>
  static __m512 widen16(__m256i half) {
    if constexpr (kDtype == TSR_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  template <uint32_t kDtype>
  static __m256i narrow16(__m512 x) {
    if constexpr (kDtype == TSR_F16) {
      return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    }
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i upper = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_epi32(upper, _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(
        bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(
        _mm512_srli_epi32(sum, 16), nan, upper, _mm512_set1_epi32(0x40)));
  }
  // Transposes the four 4 x 4 squares of four rows.
  [[gnu::always_inline]] static void transpose_quarters(const F* x,
                                                        __m512* out) {
    const __m512 a = _mm512_unpacklo_ps(x[0].v, x[1].v);
    const __m512 b = _mm512_unpackhi_ps(x[0].v, x[1].v);
    const __m512 c = _mm512_unpacklo_ps(x[2].v, x[3].v);
    const __m512 d = _mm512_unpackhi_ps(x[2].v, x[3].v);
    out[0] = _mm512_shuffle_ps(a, c, 0x44);
    out[1] = _mm512_shuffle_ps(a, c, 0xee);
    out[2] = _mm512_shuffle_ps(b, d, 0x44);
    out[3] = _mm512_shuffle_ps(b, d, 0xee);
  }
};

}  // namespace tessera::cpu
