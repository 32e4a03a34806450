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
  static F from_i32(const int32_t* values) {
    const auto* p = reinterpret_cast<const __m256i*>(values);
    return {_mm256_cvtepi32_ps(_mm256_loadu_si256(p)),
            _mm256_cvtepi32_ps(_mm256_loadu_si256(p + 1))};
  }
  static F fused(F a, F b, F c) { return Avx2::fma(a, b, c); }

 private:
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
