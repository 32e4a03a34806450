// SPDX-License-Identifier: Apache-2.0
//
// tessera/portable_math.h - the float functions of the portable ops (norms,
// softmax, silu, gelu, rope), so exactly that any device can give their bits.
//
// Every line is one IEEE f32 operation, rounded to nearest even, never
// contracted to an FMA and never reordered; division and square root are
// correctly rounded.  Compile with -ffp-contract=off (MSVC: /fp:precise).
// A kernel that does the same operations in the same order gives the same
// bits, whatever its vector length.  No result here is subnormal unless an
// argument is; NaN gives NaN, of any payload.
//
// Errors are the largest found over all floats against libm in double.  One ulp
// is the spacing of f32 at the exact result.

#ifndef TSR_PORTABLE_MATH_H
#define TSR_PORTABLE_MATH_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Constants, for kernels that spell the functions out themselves --------

// 1.5 * 2^23: adding it rounds to an integer, found in the low bits.
#define TSR_ROUND_MAGIC 12582912.0f
#define TSR_LOG2E 0x1.715476p+0f
// ln 2 = HI + LO; HI has 9 bits, so n * HI is exact.
#define TSR_LN2_HI 0x1.63p-1f
#define TSR_LN2_LO (-0x1.bd0106p-13f)
// Above the first exp is infinite; below the second it is taken as 0, for its
// result would be subnormal.
#define TSR_EXP_MAX 0x1.62e42ep+6f
#define TSR_EXP_MIN (-0x1.5d589ep+6f)
// (exp(r) - 1 - r) / r^2 on |r| <= 0.347, minimax, relative error 2^-28.
#define TSR_EXP_C2 0x1.fffffcp-2f
#define TSR_EXP_C3 0x1.55549p-3f
#define TSR_EXP_C4 0x1.5558f6p-5f
#define TSR_EXP_C5 0x1.123a8ep-7f
#define TSR_EXP_C6 0x1.6a2314p-10f
// 2 sqrt(2 / pi), and that times 0.044715.
#define TSR_GELU_TANH_C1 0x1.988454p+0f
#define TSR_GELU_TANH_C3 0x1.2444f2p-4f
// exp(s^2 / 2) Q(s) = u P(u), u = 1 / (1 + A s), 0 <= s <= 13.25, minimax,
// relative error 2^-24; Q(s) is the upper tail of the normal distribution.
#define TSR_TAIL_A 0x1.333334p-2f
#define TSR_TAIL_MAX 14.0f
#define TSR_TAIL_P0 0x1.ea3c5cp-4f
#define TSR_TAIL_P1 0x1.e9c868p-4f
#define TSR_TAIL_P2 0x1.c364a8p-4f
#define TSR_TAIL_P3 0x1.41a9f8p-4f
#define TSR_TAIL_P4 0x1.88439cp-4f
#define TSR_TAIL_P5 (-0x1.427cd4p-4f)
#define TSR_TAIL_P6 0x1.8725c2p-3f
#define TSR_TAIL_P7 (-0x1.d23614p-3f)
#define TSR_TAIL_P8 0x1.cb9436p-4f
#define TSR_TAIL_P9 (-0x1.5136fcp-6f)

// ---- Bits ------------------------------------------------------------------

static inline uint32_t tsr_bits_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

static inline float tsr_from_bits_f32(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

static inline float tsr_abs_f32(float x) {
  return tsr_from_bits_f32(tsr_bits_f32(x) & 0x7fffffffu);
}

// ---- exp and what is made of it --------------------------------------------

// exp(hi + lo) for |lo| < 2^-6 |hi|; the range is judged by hi.
static inline float tsr_exp_sum_f32(float hi, float lo) {
  const float t = hi * TSR_LOG2E + TSR_ROUND_MAGIC;
  const float n = t - TSR_ROUND_MAGIC;
  const float r = ((hi - n * TSR_LN2_HI) - n * TSR_LN2_LO) + lo;
  float q = TSR_EXP_C6;
  q = q * r + TSR_EXP_C5;
  q = q * r + TSR_EXP_C4;
  q = q * r + TSR_EXP_C3;
  q = q * r + TSR_EXP_C2;
  const float p = ((r * r) * q + r) + 1.0f;
  const float y = tsr_from_bits_f32(tsr_bits_f32(p) + (tsr_bits_f32(t) << 23));
  if (hi > TSR_EXP_MAX) return tsr_from_bits_f32(0x7f800000u);
  if (hi < TSR_EXP_MIN) return 0.0f;
  return hi == hi ? y : hi;
}

// exp(x).  Error: 1.0 ulp; 0 instead of a subnormal.
static inline float tsr_exp_f32(float x) { return tsr_exp_sum_f32(x, 0.0f); }

// 1 / (1 + exp(-x)).  Error: 2.5 ulp; 0 below -87.33.
static inline float tsr_sigmoid_f32(float x) {
  const float e = tsr_exp_f32(-tsr_abs_f32(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// x / (1 + exp(-x)).  Error: 3.4 ulp; -0 below -87.33.
static inline float tsr_silu_f32(float x) { return x * tsr_sigmoid_f32(x); }

// 1 / sqrt(x).  Error: 1.5 ulp.
static inline float tsr_rsqrt_f32(float x) { return 1.0f / sqrtf(x); }

// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
// Error: 2^-22 |x|.
static inline float tsr_gelu_tanh_f32(float x) {
  const float w = x * (TSR_GELU_TANH_C1 + TSR_GELU_TANH_C3 * (x * x));
  return x * tsr_sigmoid_f32(w);
}

// Phi(-s), the upper tail of the normal distribution, for s >= 0.
static inline float tsr_normal_tail_f32(float s) {
  // s^2 / 2 = hi + lo without a rounding error in hi: h has 12 bits.
  const float h = tsr_from_bits_f32(tsr_bits_f32(s) & 0xfffff000u);
  const float hi = -0.5f * (h * h);
  const float lo = -0.5f * ((s - h) * (s + h));
  const float u = 1.0f / (1.0f + TSR_TAIL_A * s);
  float p = TSR_TAIL_P9;
  p = p * u + TSR_TAIL_P8;
  p = p * u + TSR_TAIL_P7;
  p = p * u + TSR_TAIL_P6;
  p = p * u + TSR_TAIL_P5;
  p = p * u + TSR_TAIL_P4;
  p = p * u + TSR_TAIL_P3;
  p = p * u + TSR_TAIL_P2;
  p = p * u + TSR_TAIL_P1;
  p = p * u + TSR_TAIL_P0;
  return (u * p) * tsr_exp_sum_f32(hi, lo);
}

// x Phi(x) = x (1 + erf(x / sqrt(2))) / 2.  Error: 10 ulp; -0 below -13.2.
static inline float tsr_gelu_erf_f32(float x) {
  const float a = tsr_abs_f32(x);
  const float tail = tsr_normal_tail_f32(a < TSR_TAIL_MAX ? a : TSR_TAIL_MAX);
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

// ---- Rotation --------------------------------------------------------------

// (x0, x1) turned by the angle whose cosine is c and sine is s.
static inline void tsr_rotate_f32(float x0, float x1, float c, float s,
                                  float* out_y0, float* out_y1) {
  const float a = x0 * c;
  const float b = x1 * s;
  const float d = x1 * c;
  const float e = x0 * s;
  *out_y0 = a - b;
  *out_y1 = d + e;
}

// ---- Sums ------------------------------------------------------------------

// A portable sum has 64 lanes that start at +0.  Term k is added to lane k %
// 64, k ascending; then lane i takes lane i + w for w = 32, 16, 8, 4, 2, 1 and
// i < w; lane 0 is the sum.  A lane sees n / 64 terms and the tree 6, so the
// error is at most gamma(ceil(n / 64) + 5) * sum |term|, gamma(m) = m u /
// (1 - m u), u = 2^-24.
// Source: Higham, Accuracy and Stability, 2nd ed., section 4.2.
#define TSR_SUM_LANES 64

// Folds the lanes, which it overwrites, to their sum.
static inline float tsr_sum_lanes_f32(float lanes[TSR_SUM_LANES]) {
  for (int w = TSR_SUM_LANES / 2; w > 0; w /= 2) {
    for (int i = 0; i < w; ++i) lanes[i] = lanes[i] + lanes[i + w];
  }
  return lanes[0];
}

static inline float tsr_sum_f32(const float* x, size_t n) {
  float lanes[TSR_SUM_LANES] = {0.0f};
  for (size_t k = 0; k < n; ++k) {
    lanes[k % TSR_SUM_LANES] = lanes[k % TSR_SUM_LANES] + x[k];
  }
  return tsr_sum_lanes_f32(lanes);
}

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TSR_PORTABLE_MATH_H
