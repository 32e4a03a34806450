// SPDX-License-Identifier: Apache-2.0
//
// Integer sums over packed tiles with VNNI: vpdpbusd adds four products of u8
// (x) and s8 (W) to an i32 without saturation.

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/linear/integer_tiles.hpp"

namespace tessera::cpu {
namespace {

struct VnniInteger {
  static constexpr int kRows = 6;  // 24 accumulators of 32 registers
  static constexpr int kTiles = 4;
  static constexpr int kFewRows = 8;

  using Sums = __m512i;
  using Codes = __m512i;
  using Input = __m512i;

  static Sums zero() { return _mm512_setzero_si512(); }
  static Input input(const uint8_t* x) {
    int32_t value;
    __builtin_memcpy(&value, x, sizeof(value));
    return _mm512_set1_epi32(value);
  }
  static Input ones() { return _mm512_set1_epi8(1); }

  static Codes load_i8(const uint8_t* codes) {
    return _mm512_loadu_si512(codes);
  }
  template <int kShift>
  static Codes load_u4(const uint8_t* codes) {
    const __m512i nibbles =
        _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(codes), kShift),
                         _mm512_set1_epi8(15));
    return _mm512_sub_epi8(nibbles, _mm512_set1_epi8(8));
  }
  static void add(Sums& sums, Input x, const Codes& w) {
    sums = _mm512_dpbusd_epi32(sums, x, w);
  }
  static void store(const Sums& sums, int32_t* out) {
    _mm512_storeu_si512(out, sums);
  }
};

}  // namespace

void integer_i8_tiles_avx512vnni(const IntegerWork& work) {
  IntegerTiles<VnniInteger, I8TileCodes>::run(work);
}
void integer_u4_tiles_avx512vnni(const IntegerWork& work) {
  IntegerTiles<VnniInteger, U4TileCodes>::run(work);
}

}  // namespace tessera::cpu
