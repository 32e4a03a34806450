// SPDX-License-Identifier: Apache-2.0
//
// exp for the weights of attention: with FMA and AVX-512's own rounding and
// scaling it takes half the instructions of the portable one, whose bits
// nothing here asks for.

#pragma once

#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

// exp(x) within 2 u + |x| u, u = 2^-24, relative; less than 2^-150 is 0.
// Source: exp(x) = 2^n 2^f, n + f = x / ln 2; 2^f is the polynomial of degree 6
// with the least relative error on [-1/2, 1/2], 1.9e-9.
[[gnu::always_inline]] inline Avx512::F exp_avx512(Avx512::F x) {
  // max returns its second operand, NaN included.
  const __m512 bounded = _mm512_max_ps(_mm512_set1_ps(-104.0f), x.v);
  const __m512 t = _mm512_mul_ps(bounded, _mm512_set1_ps(TSR_LOG2E));
  const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT);
  const __m512 f = _mm512_sub_ps(t, n);
  constexpr float kPowers[] = {1.5345811e-4f, 1.3399931e-3f, 9.6184890e-3f,
                               5.5503288e-2f, 2.4022647e-1f, 6.9314721e-1f,
                               1.0f};
  __m512 p = _mm512_set1_ps(kPowers[0]);
  TSR_UNROLL
  for (int i = 1; i < 7; ++i) {
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(kPowers[i]));
  }
  return {_mm512_scalef_ps(p, n)};
}

}  // namespace tessera::cpu
