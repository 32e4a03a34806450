// SPDX-License-Identifier: Apache-2.0
//
// Codes of fa3's probabilities by exp instead of by a search in the thresholds.
//
// Code k is reached at a distance d of at most L_k / c, L_k = ln(127 / (k -
// 1/2)), so the code is floor(127 exp(-c d) + 1/2).  Where that lies near a
// whole number the thresholds decide, and so they do for a table that was not
// made with c: the codes are those of the table, whatever it is.

#pragma once

#include <stdint.h>

#include <cmath>

#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

class ProbabilityCodes {
 public:
  // c / ln 2 if `thresholds` are those of `exponent` = c, else 0.
  static float rate_of(const int32_t* thresholds, float exponent) {
    // Distances are exact in f32 as far as codes are not 0.
    constexpr float kLargest = 0x1p24f;
    if (!(exponent > 5.6f / kLargest && exponent < kLargest)) return 0.0f;
    static const Logarithms logarithms;
    const __m512 c = _mm512_set1_ps(exponent);
    __mmask16 wrong = 0;
    for (int64_t i = 0; i < kPreparedThresholds; i += 16) {
      const __mmask16 used =
          i + 16 <= kNumThresholds ? __mmask16{0xffff} : __mmask16{0x7fff};
      const __m512i t = _mm512_maskz_loadu_epi32(used, thresholds + i);
      const __m512 at = _mm512_mul_ps(_mm512_cvtepi32_ps(t), c);
      const __m512 after = _mm512_add_ps(at, c);
      const __m512 low = _mm512_loadu_ps(logarithms.low + i);
      const __m512 high = _mm512_loadu_ps(logarithms.high + i);
      wrong |= _mm512_mask_cmp_ps_mask(used, at, high, _CMP_NLE_UQ);
      wrong |= _mm512_mask_cmp_ps_mask(used, after, low, _CMP_NGE_UQ);
    }
    return wrong == 0 ? exponent * TSR_LOG2E : 0.0f;
  }

  // False, and no codes, if one of them is too near to the next.
  static bool encode(float rate, int32_t max, const int32_t* scores,
                     uint8_t* codes) {
    __mmask16 near = 0;
    TSR_UNROLL
    for (int64_t i = 0; i < kKeyTile; i += 16) {
      const __m512i d =
          _mm512_max_epi32(_mm512_sub_epi32(_mm512_set1_epi32(max),
                                            _mm512_loadu_si512(scores + i)),
                           _mm512_setzero_si512());
      const __m512 y =
          code_of(_mm512_mul_ps(_mm512_cvtepi32_ps(d), _mm512_set1_ps(-rate)));
      const __m512 whole =
          _mm512_roundscale_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
      // How far y is from the middle between two whole numbers.
      const __m512 off = _mm512_abs_ps(
          _mm512_sub_ps(_mm512_sub_ps(y, whole), _mm512_set1_ps(0.5f)));
      near |= _mm512_cmp_ps_mask(off, _mm512_set1_ps(0.5f - kNear), _CMP_GT_OQ);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i),
                       _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(whole)));
    }
    return near == 0;
  }

 private:
  // How near to a whole number y is not believed.  With u = 2^-24: t is off by
  // 7 u, which exp turns into 127 x exp(-x) 7 u <= 327 u; the polynomial is off
  // by 160 u, its roundings by 700 u; a table within 2^-20 of L_k moves it by
  // 46.8 * 19 u <= 890 u.  In all less than 2100 u.
  static constexpr float kNear = 0x1p-12f;

  // L_k, a little less and a little more.
  struct Logarithms {
    Logarithms() {
      for (int k = 1; k <= kNumThresholds; ++k) {
        const double exact = std::log(127.0 / (k - 0.5));
        low[k - 1] = static_cast<float>(exact * (1.0 - 0x1p-20));
        high[k - 1] = static_cast<float>(exact * (1.0 + 0x1p-20));
      }
    }
    float low[kPreparedThresholds] = {};
    float high[kPreparedThresholds] = {};
  };

  // 127 * 2^t + 1/2 for t <= 0.
  // Source: 2^f as the polynomial of degree 5 with the least relative error on
  // [-1/2, 1/2], 7.5e-8.
  [[gnu::always_inline]] static __m512 code_of(__m512 t) {
    const __m512 bounded = _mm512_max_ps(t, _mm512_set1_ps(-64.0f));
    const __m512 n = _mm512_roundscale_ps(bounded, _MM_FROUND_TO_NEAREST_INT);
    const __m512 f = _mm512_sub_ps(bounded, n);
    constexpr float kPowers[] = {1.3276470e-3f, 9.6755413e-3f, 5.5507133e-2f,
                                 2.4022120e-1f, 6.9314697e-1f, 1.00000007f};
    __m512 p = _mm512_set1_ps(127.0f * kPowers[0]);
    TSR_UNROLL
    for (int i = 1; i < 6; ++i) {
      p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(127.0f * kPowers[i]));
    }
    return _mm512_add_ps(_mm512_scalef_ps(p, n), _mm512_set1_ps(0.5f));
  }
};

}  // namespace tessera::cpu
