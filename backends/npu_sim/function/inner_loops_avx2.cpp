// SPDX-License-Identifier: Apache-2.0
//
// Built with AVX2, FMA and F16C where the compiler has them; run only where the
// processor has them too.  An fma of an exact product is a product and a sum.

#include "backends/npu_sim/function/inner_loops.hpp"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <cpuid.h>
#include <immintrin.h>

namespace tessera::npu {
namespace {

struct F16 {
  static __m256 load(const uint16_t* w) {
    return _mm256_cvtph_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
  }
};

struct Bf16 {
  static __m256 load(const uint16_t* w) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
};

template <typename Type, int kRows>
void tile_rows(const float* x, int64_t x_stride, const uint16_t* w, int64_t K,
               float* acc) {
  __m256 low[kRows];
  __m256 high[kRows];
  for (int r = 0; r < kRows; ++r) {
    low[r] = _mm256_loadu_ps(acc + r * kTileColumns);
    high[r] = _mm256_loadu_ps(acc + r * kTileColumns + 8);
  }
  for (int64_t k = 0; k < K; ++k) {
    const __m256 w0 = Type::load(w + k * kTileColumns);
    const __m256 w1 = Type::load(w + k * kTileColumns + 8);
    for (int r = 0; r < kRows; ++r) {
      const __m256 value = _mm256_set1_ps(x[r * x_stride + k]);
      low[r] = _mm256_fmadd_ps(value, w0, low[r]);
      high[r] = _mm256_fmadd_ps(value, w1, high[r]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    _mm256_storeu_ps(acc + r * kTileColumns, low[r]);
    _mm256_storeu_ps(acc + r * kTileColumns + 8, high[r]);
  }
}

template <typename Type>
void tile(const float* x, int64_t x_stride, int64_t rows, const uint16_t* w,
          int64_t K, float* acc) {
  switch (rows) {
    case 1:
      return tile_rows<Type, 1>(x, x_stride, w, K, acc);
    case 2:
      return tile_rows<Type, 2>(x, x_stride, w, K, acc);
    case 3:
      return tile_rows<Type, 3>(x, x_stride, w, K, acc);
    default:
      return tile_rows<Type, 4>(x, x_stride, w, K, acc);
  }
}

__m256i load16(const int16_t* values) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}

int32_t sum_lanes(__m256i v) {
  __m128i sum =
      _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
  return _mm_cvtsi128_si32(sum);
}

template <int kRows>
void dot_rows(const int16_t* x, int64_t x_stride, const int16_t* w, int64_t K,
              int32_t* out) {
  __m256i sums[kRows];
  for (int r = 0; r < kRows; ++r) sums[r] = _mm256_setzero_si256();
  int64_t k = 0;
  for (; k + 16 <= K; k += 16) {
    const __m256i weights = load16(w + k);
    for (int r = 0; r < kRows; ++r) {
      sums[r] = _mm256_add_epi32(
          sums[r], _mm256_madd_epi16(load16(x + r * x_stride + k), weights));
    }
  }
  for (int r = 0; r < kRows; ++r) out[r] = sum_lanes(sums[r]);
  for (; k < K; ++k) {
    for (int r = 0; r < kRows; ++r) out[r] += x[r * x_stride + k] * w[k];
  }
}

void dot_i16(const int16_t* x, int64_t x_stride, int64_t rows, const int16_t* w,
             int64_t K, int32_t* out) {
  switch (rows) {
    case 1:
      return dot_rows<1>(x, x_stride, w, K, out);
    case 2:
      return dot_rows<2>(x, x_stride, w, K, out);
    case 3:
      return dot_rows<3>(x, x_stride, w, K, out);
    default:
      return dot_rows<4>(x, x_stride, w, K, out);
  }
}

void add_scaled(float x, const float* row, int64_t n, float* acc) {
  const __m256 value = _mm256_set1_ps(x);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(acc + i, _mm256_fmadd_ps(value, _mm256_loadu_ps(row + i),
                                              _mm256_loadu_ps(acc + i)));
  }
  for (; i < n; ++i) acc[i] = __builtin_fmaf(x, row[i], acc[i]);
}

// clang 14 has no name for F16C in __builtin_cpu_supports. Its registers are
// AVX's, which the system saves where it offers AVX2.
bool has_f16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

const InnerLoops* avx2_loops() {
  static constexpr InnerLoops kLoops{"avx2", tile<F16>, tile<Bf16>, dot_i16,
                                     add_scaled};
  const bool has = __builtin_cpu_supports("avx2") != 0 &&
                   __builtin_cpu_supports("fma") != 0 && has_f16c();
  return has ? &kLoops : nullptr;
}

}  // namespace tessera::npu

#else

namespace tessera::npu {

const InnerLoops* avx2_loops() { return nullptr; }

}  // namespace tessera::npu

#endif
