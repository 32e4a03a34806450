// SPDX-License-Identifier: Apache-2.0
//
// Integer sums over packed tiles with AVX2.  vpmaddubsw would saturate: 255 *
// 127 * 2 is no i16.  So both sides are widened to i16 first, whose products
// vpmaddwd adds in i32, exactly.

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/linear/integer_tiles.hpp"

namespace tessera::cpu {
namespace {

struct Avx2Integer {
  static constexpr int kRows = 2;
  static constexpr int kFewRows = 1;
  static constexpr int kTiles = 1;

  // Sixteen rows of W: of[i] holds two partial sums for each of four rows.
  struct Sums {
    __m256i of[4];
  };
  // Sixteen rows of W, four columns.
  struct Codes {
    __m256i of[4];  // i16
  };
  using Input = __m256i;

  static Sums zero() {
    const __m256i z = _mm256_setzero_si256();
    return {{z, z, z, z}};
  }
  static Input input(const uint8_t* x) {
    return _mm256_cvtepu8_epi16(_mm_set1_epi32(load_4(x)));
  }
  static Input ones() { return _mm256_set1_epi16(1); }

  static Codes load_i8(const uint8_t* codes) {
    Codes w;
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      w.of[i] = _mm256_cvtepi8_epi16(load_16(codes + 16 * i));
    }
    return w;
  }
  // Columns 0 .. 3 of eight, or 4 .. 7.
  template <int kShift>
  static Codes load_u4(const uint8_t* codes) {
    Codes w;
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      const __m128i nibbles = _mm_and_si128(
          _mm_srli_epi16(load_16(codes + 16 * i), kShift), _mm_set1_epi8(15));
      w.of[i] =
          _mm256_sub_epi16(_mm256_cvtepu8_epi16(nibbles), _mm256_set1_epi16(8));
    }
    return w;
  }
  static void add(Sums& sums, Input x, const Codes& w) {
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; ++i) {
      sums.of[i] = _mm256_add_epi32(sums.of[i], _mm256_madd_epi16(x, w.of[i]));
    }
  }
  static void store(const Sums& sums, int32_t* out) {
#pragma GCC unroll 2
    for (int64_t i = 0; i < 2; ++i) {
      // Pairs a0 a1 b0 b1 | ..: hadd works within 128 bits, so put them right.
      const __m256i pairs =
          _mm256_hadd_epi32(sums.of[2 * i], sums.of[2 * i + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * i),
                          _mm256_permute4x64_epi64(pairs, 0xd8));
    }
  }

 private:
  static int32_t load_4(const uint8_t* x) {
    int32_t value;
    __builtin_memcpy(&value, x, sizeof(value));
    return value;
  }
  static __m128i load_16(const uint8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
};

}  // namespace

void integer_i8_tiles_avx2(const IntegerWork& work) {
  IntegerTiles<Avx2Integer, I8TileCodes>::run(work);
}
void integer_u4_tiles_avx2(const IntegerWork& work) {
  IntegerTiles<Avx2Integer, U4TileCodes>::run(work);
}

}  // namespace tessera::cpu
