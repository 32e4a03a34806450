// SPDX-License-Identifier: Apache-2.0
//
// Sixteen f32 lanes in two ymm registers; see simd_scalar.hpp.  Only files
// compiled for AVX2, FMA and F16C may include this.

#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/ops/unroll.hpp"
#include "tessera/portable_math.h"
#include "tessera/types.h"

namespace tessera::cpu {

struct Avx2 {
  static constexpr int kLanes = 16;
  static constexpr int kTileRows = 6;  // 12 accumulators of 16 registers
  static constexpr int kTileVecs = 1;
  static constexpr int kFewRows = 4;
  static constexpr int kFewSums = 4;

  struct F {
    __m256 lo;
    __m256 hi;
  };

  static F set1(float value) {
    return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
  }
  static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }

  template <uint32_t kDtype>
  static F load(const void* base, int64_t index) {
    if constexpr (kDtype == TSR_F32) {
      const float* p = static_cast<const float*>(base) + index;
      return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    } else if constexpr (kDtype == TSR_I8) {
      const int8_t* p = static_cast<const int8_t*>(base) + index;
      return {widen_i8(p), widen_i8(p + 8)};
    } else {
      const uint16_t* p = static_cast<const uint16_t*>(base) + index;
      if constexpr (kDtype == TSR_F16) return {widen_f16(p), widen_f16(p + 8)};
      return {widen_bf16(p), widen_bf16(p + 8)};
    }
  }
  template <uint32_t kDtype>
  static F load_n(const void* base, int64_t index, int n) {
    using T = Element<kDtype>;
    T part[kLanes] = {};
    const T* p = static_cast<const T*>(base) + index;
    for (int i = 0; i < n; ++i) part[i] = p[i];
    return load<kDtype>(part, 0);
  }

  template <uint32_t kDtype>
  static void store(void* base, int64_t index, F x) {
    if constexpr (kDtype == TSR_F32) {
      float* p = static_cast<float*>(base) + index;
      _mm256_storeu_ps(p, x.lo);
      _mm256_storeu_ps(p + 8, x.hi);
    } else if constexpr (kDtype == TSR_I8) {
      store_i8(static_cast<int8_t*>(base) + index, x);
    } else {
      auto* p =
          reinterpret_cast<__m128i*>(static_cast<uint16_t*>(base) + index);
      if constexpr (kDtype == TSR_F16) {
        constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT;
        _mm_storeu_si128(p, _mm256_cvtps_ph(x.lo, kNearest));
        _mm_storeu_si128(p + 1, _mm256_cvtps_ph(x.hi, kNearest));
      } else {
        const __m256i pair =
            _mm256_packus_epi32(round_bf16(x.lo), round_bf16(x.hi));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm256_permute4x64_epi64(pair, 0xd8));
      }
    }
  }
  template <uint32_t kDtype>
  static void store_n(void* base, int64_t index, F x, int n) {
    using T = Element<kDtype>;
    T part[kLanes];
    store<kDtype>(part, 0, x);
    T* p = static_cast<T*>(base) + index;
    for (int i = 0; i < n; ++i) p[i] = part[i];
  }

  static F add(F a, F b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
  }
  static F sub(F a, F b) {
    return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
  }
  static F mul(F a, F b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
  }
  static F div(F a, F b) {
    return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
  }
  static F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo),
            _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
  }
  static F max(F a, F b) {
    return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
  }
  static F min(F a, F b) {
    return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
  }
  static F select_lt(F a, F b, F x, F y) {
    return {
        _mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
        _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
  }
  static F select_nan(F a, F x, F y) {
    return {
        _mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q)),
        _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q))};
  }
  static F and_bits(F a, uint32_t mask) {
    const __m256 m =
        _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(mask)));
    return {_mm256_and_ps(a.lo, m), _mm256_and_ps(a.hi, m)};
  }
  static F scale_exponent(F p, F t) {
    return {scale_exponent(p.lo, t.lo), scale_exponent(p.hi, t.hi)};
  }

  static float sum(F x) {
    const __m256 eight = _mm256_add_ps(x.lo, x.hi);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight),
                                   _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float max_lane(F x) {
    const __m256 eight = _mm256_max_ps(x.lo, x.hi);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight),
                                   _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  [[gnu::always_inline]] static void sum_each(const F (&x)[kFewSums],
                                              float* out) {
    const __m256 a = _mm256_hadd_ps(_mm256_add_ps(x[0].lo, x[0].hi),
                                    _mm256_add_ps(x[1].lo, x[1].hi));
    const __m256 b = _mm256_hadd_ps(_mm256_add_ps(x[2].lo, x[2].hi),
                                    _mm256_add_ps(x[3].lo, x[3].hi));
    const __m256 c = _mm256_hadd_ps(a, b);
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(c),
                                  _mm256_extractf128_ps(c, 1)));
  }
  [[gnu::always_inline]] static void transpose(F (&x)[kLanes]) {
    __m256 q[4][8];  // quadrants: top left, top right, bottom left, right
    TSR_UNROLL
    for (int i = 0; i < 8; ++i) {
      q[0][i] = x[i].lo;
      q[1][i] = x[i].hi;
      q[2][i] = x[i + 8].lo;
      q[3][i] = x[i + 8].hi;
    }
    TSR_UNROLL
    for (auto& quadrant : q) transpose8(quadrant);
    TSR_UNROLL
    for (int i = 0; i < 8; ++i) {
      x[i] = {q[0][i], q[2][i]};
      x[i + 8] = {q[1][i], q[3][i]};
    }
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
  }

 private:
  template <uint32_t kDtype>
  struct ElementOf {
    using Type = uint16_t;
  };
  template <uint32_t kDtype>
  using Element = typename ElementOf<kDtype>::Type;

  static __m256 widen_i8(const int8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static __m256 widen_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static __m256 widen_bf16(const uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static __m256i round_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i sum = _mm256_add_epi32(
        bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    return _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet,
                              _mm256_castps_si256(nan));
  }
  static void store_i8(int8_t* p, F x) {
    const __m256i word =
        _mm256_packs_epi32(_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi));
    const __m256i sorted = _mm256_permute4x64_epi64(word, 0xd8);
    const __m128i byte = _mm_packs_epi16(_mm256_castsi256_si128(sorted),
                                         _mm256_extracti128_si256(sorted, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), byte);
  }
  static __m256 scale_exponent(__m256 p, __m256 t) {
    return _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
  }
  [[gnu::always_inline]] static void transpose8(__m256 (&r)[8]) {
    __m256 s[8];
    TSR_UNROLL
    for (int i = 0; i < 8; i += 4) {
      const __m256 a = _mm256_unpacklo_ps(r[i], r[i + 1]);
      const __m256 b = _mm256_unpackhi_ps(r[i], r[i + 1]);
      const __m256 c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
      const __m256 d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
      s[i] = _mm256_shuffle_ps(a, c, 0x44);
      s[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
      s[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
      s[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    TSR_UNROLL
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(s[i], s[i + 4], 0x31);
    }
  }
};

template <>
struct Avx2::ElementOf<TSR_F32> {
  using Type = float;
};
template <>
struct Avx2::ElementOf<TSR_I8> {
  using Type = int8_t;
};

}  // namespace tessera::cpu
