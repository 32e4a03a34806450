// SPDX-License-Identifier: Apache-2.0
//
// The integer products of fa3 with AVX-512 VNNI; see integer_products.hpp.
//
// vpdpbusd multiplies u8 by s8 and adds four neighbours.  Queries are stored
// offset by 128, and 128 times the sum of the key is taken off again.

#pragma once

#include <immintrin.h>

#include "backends/cpu/kernels/attention/products/integer_products.hpp"
#include "backends/cpu/kernels/attention/products/probability_codes.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

struct VnniProducts {
  static void offset_query(int8_t* row, int64_t bytes) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(kQueryOffset));
    for (int64_t d = 0; d < bytes; d += 64) {
      _mm512_storeu_si512(row + d,
                          _mm512_add_epi8(_mm512_loadu_si512(row + d), offset));
    }
  }

  static void to_float(const int32_t* sums, float* out) {
    _mm512_storeu_ps(out, _mm512_cvtepi32_ps(_mm512_loadu_si512(sums)));
  }

  static void scores(const IntegerShape& shape, const int8_t* q,
                     const std::byte* const* k, int8_t* packed, int32_t* out) {
    const int64_t words = shape.row_stride / 4;
    __m512i start[kGroups];
    for (int64_t g = 0; g < kGroups; ++g) {
      pack_keys(shape, k + g * 16, packed + g * words * 64);
      start[g] = offset_of(packed + g * words * 64, words);
    }
    int row = 0;
    for (; row + kRows <= shape.num_rows; row += kRows) {
      score_rows<kRows>(shape, q, packed, start, row, out);
    }
    for (; row < shape.num_rows; ++row) {
      score_rows<1>(shape, q, packed, start, row, out);
    }
  }

  static int32_t max_of(const int32_t* scores, int begin, int end) {
    __m512i largest = _mm512_set1_epi32(INT32_MIN);
    for (int i = 0; i < kKeyTile; i += 16) {
      const __mmask16 seen = range(begin - i, end - i);
      const __m512i s = _mm512_loadu_si512(scores + i);
      largest = _mm512_mask_max_epi32(largest, seen, largest, s);
    }
    return _mm512_reduce_max_epi32(largest);
  }

  // The binary search of PlainProducts::encode looks for code + step - 1; the
  // thresholds of one step lie side by side, so that they fit registers:
  // steps 64 to 8 (every eighth), then 4, 2, 1.
  // Entry 15 is the exponent, as encode_by_exp wants it.
  static void prepare_thresholds(const int32_t* thresholds, float exponent,
                                 int32_t* out) {
    const float rate = ProbabilityCodes::rate_of(thresholds, exponent);
    for (int64_t i = 0; i < 16; ++i) {
      out[i] = i < 15 ? thresholds[7 + 8 * i]
                      : static_cast<int32_t>(tsr_bits_f32(rate));
      out[16 + i] = thresholds[3 + 8 * i];
    }
    for (int64_t i = 0; i < 32; ++i) out[32 + i] = thresholds[1 + 4 * i];
    for (int64_t i = 0; i < 64; ++i) out[64 + i] = thresholds[2 * i];
  }

  static void encode(const int32_t* prepared, int32_t max,
                     const int32_t* scores, uint8_t* codes) {
    const float rate = tsr_from_bits_f32(static_cast<uint32_t>(prepared[15]));
    if (rate != 0.0f && ProbabilityCodes::encode(rate, max, scores, codes)) {
      return;
    }
    search(prepared, max, scores, codes);
  }

 private:
  static void search(const int32_t* prepared, int32_t max,
                     const int32_t* scores, uint8_t* codes) {
    __m512i t[8];
    TSR_UNROLL
    for (int64_t i = 0; i < 8; ++i)
      t[i] = _mm512_loadu_si512(prepared + 16 * i);
    for (int i = 0; i < kKeyTile; i += 16) {
      const __m512i d = _mm512_sub_epi32(_mm512_set1_epi32(max),
                                         _mm512_loadu_si512(scores + i));
      __m512i code = _mm512_setzero_si512();
      for (const int step : {64, 32, 16, 8}) {
        const __m512i at = _mm512_add_epi32(_mm512_srli_epi32(code, 3),
                                            _mm512_set1_epi32(step / 8 - 1));
        code = advance(code, step, d, _mm512_permutexvar_epi32(at, t[0]));
      }
      code =
          advance(code, 4, d,
                  _mm512_permutexvar_epi32(_mm512_srli_epi32(code, 3), t[1]));
      code = advance(
          code, 2, d,
          _mm512_permutex2var_epi32(t[2], _mm512_srli_epi32(code, 2), t[3]));
      const __m512i at = _mm512_srli_epi32(code, 1);
      const __m512i low = _mm512_permutex2var_epi32(t[4], at, t[5]);
      const __m512i high = _mm512_permutex2var_epi32(t[6], at, t[7]);
      const __mmask16 is_high =
          _mm512_cmpge_epi32_mask(at, _mm512_set1_epi32(32));
      code = advance(code, 1, d, _mm512_mask_blend_epi32(is_high, low, high));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i),
                       _mm512_cvtepi32_epi8(code));
    }
  }

 public:
  static int32_t sum_of(const uint8_t* codes) {
    const __m512i sums =
        _mm512_sad_epu8(_mm512_loadu_si512(codes), _mm512_setzero_si512());
    return static_cast<int32_t>(_mm512_reduce_add_epi64(sums));
  }

  static void add_values(const IntegerShape& shape, const uint8_t* codes,
                         const std::byte* const* v, int8_t* packed,
                         int32_t* sums) {
    const int64_t quads = (int64_t{shape.num_keys} + 3) / 4;
    for (int64_t i = 0; i < quads; ++i) {
      pack_values(shape, v + 4 * i, packed + i * 4 * shape.row_stride);
    }
    int row = 0;
    for (; row + kRows <= shape.num_rows; row += kRows) {
      add_rows<kRows>(shape, codes, packed, row, sums);
    }
    for (; row < shape.num_rows; ++row) {
      add_rows<1>(shape, codes, packed, row, sums);
    }
  }

 protected:
  static constexpr int64_t kGroups = kKeyTile / 16;

  // packed[word][key]: four consecutive codes of each of sixteen keys.
  static void pack_keys(const IntegerShape& shape, const std::byte* const* k,
                        int8_t* packed) {
    for (int64_t d = 0; d < shape.row_stride; d += 64) {
      Avx512::F square[16];
      TSR_UNROLL
      for (int i = 0; i < 16; ++i) {
        square[i].v = _mm512_castsi512_ps(load_row(k[i], d, shape.head_dim));
      }
      Avx512::transpose(square);
      TSR_UNROLL
      for (int64_t i = 0; i < 16; ++i) {
        _mm512_storeu_ps(packed + (d / 4 + i) * 64, square[i].v);
      }
    }
  }

  // packed[d][key]: the codes of four keys side by side.
  static void pack_values(const IntegerShape& shape, const std::byte* const* v,
                          int8_t* packed) {
    for (int64_t d = 0; d < shape.row_stride; d += 64) {
      const __m512i a = load_row(v[0], d, shape.head_dim);
      const __m512i b = load_row(v[1], d, shape.head_dim);
      const __m512i c = load_row(v[2], d, shape.head_dim);
      const __m512i e = load_row(v[3], d, shape.head_dim);
      const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
      const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
      const __m512i ce_low = _mm512_unpacklo_epi8(c, e);
      const __m512i ce_high = _mm512_unpackhi_epi8(c, e);
      // Quarter i of s[j] holds columns 16 i + 4 j .. + 3.
      const __m512i s[4] = {_mm512_unpacklo_epi16(ab_low, ce_low),
                            _mm512_unpackhi_epi16(ab_low, ce_low),
                            _mm512_unpacklo_epi16(ab_high, ce_high),
                            _mm512_unpackhi_epi16(ab_high, ce_high)};
      const __m512i low01 = _mm512_shuffle_i32x4(s[0], s[1], 0x44);
      const __m512i high01 = _mm512_shuffle_i32x4(s[0], s[1], 0xee);
      const __m512i low23 = _mm512_shuffle_i32x4(s[2], s[3], 0x44);
      const __m512i high23 = _mm512_shuffle_i32x4(s[2], s[3], 0xee);
      int8_t* to = packed + d * 4;
      _mm512_storeu_si512(to, _mm512_shuffle_i32x4(low01, low23, 0x88));
      _mm512_storeu_si512(to + 64, _mm512_shuffle_i32x4(low01, low23, 0xdd));
      _mm512_storeu_si512(to + 128, _mm512_shuffle_i32x4(high01, high23, 0x88));
      _mm512_storeu_si512(to + 192, _mm512_shuffle_i32x4(high01, high23, 0xdd));
    }
  }

 private:
  static __m512i load_row(const std::byte* row, int64_t d, int64_t head_dim) {
    const int64_t left = head_dim - d;
    const __mmask64 mask =
        left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    return _mm512_maskz_loadu_epi8(mask, row + d);
  }
  static constexpr uint8_t kQueryOffset = 128;
  static constexpr int kRows = 4;  // 16 accumulators

  // Bits begin .. end - 1 of sixteen.
  static __mmask16 range(int begin, int end) {
    const auto up_to = [](int n) {
      return n <= 0 ? 0u : (n >= 16 ? 0xffffu : (1u << n) - 1u);
    };
    return static_cast<__mmask16>(up_to(end) & ~up_to(begin));
  }
  static __m512i word_of(const void* p, int64_t i) {
    return _mm512_set1_epi32(static_cast<const int32_t*>(p)[i]);
  }
  static __m512i advance(__m512i code, int step, __m512i d, __m512i threshold) {
    const __mmask16 within = _mm512_cmple_epi32_mask(d, threshold);
    return _mm512_mask_add_epi32(code, within, code, _mm512_set1_epi32(step));
  }

  // -128 times the sum of each of sixteen keys.
  static __m512i offset_of(const int8_t* packed, int64_t words) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(kQueryOffset));
    __m512i sum = _mm512_setzero_si512();
    for (int64_t w = 0; w < words; ++w) {
      sum =
          _mm512_dpbusd_epi32(sum, offset, _mm512_loadu_si512(packed + w * 64));
    }
    return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  }
  template <int kCount>
  static void score_rows(const IntegerShape& shape, const int8_t* q,
                         const int8_t* packed, const __m512i* start, int row,
                         int32_t* out) {
    const int64_t words = shape.row_stride / 4;
    __m512i sum[kCount][kGroups];
    TSR_UNROLL
    for (auto& of_row : sum) {
      TSR_UNROLL
      for (int64_t g = 0; g < kGroups; ++g) of_row[g] = start[g];
    }
    for (int64_t w = 0; w < words; ++w) {
      __m512i keys[kGroups];
      TSR_UNROLL
      for (int64_t g = 0; g < kGroups; ++g) {
        keys[g] = _mm512_loadu_si512(packed + (g * words + w) * 64);
      }
      TSR_UNROLL
      for (int r = 0; r < kCount; ++r) {
        const __m512i left = word_of(q + (row + r) * shape.row_stride, w);
        TSR_UNROLL
        for (int64_t g = 0; g < kGroups; ++g) {
          sum[r][g] = _mm512_dpbusd_epi32(sum[r][g], left, keys[g]);
        }
      }
    }
    TSR_UNROLL
    for (int r = 0; r < kCount; ++r) {
      TSR_UNROLL
      for (int64_t g = 0; g < kGroups; ++g) {
        _mm512_storeu_si512(out + (row + r) * kKeyTile + g * 16, sum[r][g]);
      }
    }
  }

  template <int kCount>
  static void add_rows(const IntegerShape& shape, const uint8_t* codes,
                       const int8_t* packed, int row, int32_t* sums) {
    const int64_t quads = (int64_t{shape.num_keys} + 3) / 4;
    for (int64_t d = 0; d < shape.row_stride; d += 64) {
      __m512i sum[kCount][4];
      TSR_UNROLL
      for (int r = 0; r < kCount; ++r) {
        TSR_UNROLL
        for (int64_t j = 0; j < 4; ++j) {
          sum[r][j] = _mm512_loadu_si512(sums + (row + r) * shape.row_stride +
                                         d + 16 * j);
        }
      }
      for (int64_t i = 0; i < quads; ++i) {
        const int8_t* values = packed + (i * shape.row_stride + d) * 4;
        TSR_UNROLL
        for (int r = 0; r < kCount; ++r) {
          const __m512i left = word_of(codes + (row + r) * kKeyTile, i);
          TSR_UNROLL
          for (int64_t j = 0; j < 4; ++j) {
            sum[r][j] = _mm512_dpbusd_epi32(
                sum[r][j], left, _mm512_loadu_si512(values + 64 * j));
          }
        }
      }
      TSR_UNROLL
      for (int r = 0; r < kCount; ++r) {
        TSR_UNROLL
        for (int64_t j = 0; j < 4; ++j) {
          _mm512_storeu_si512(sums + (row + r) * shape.row_stride + d + 16 * j,
                              sum[r][j]);
        }
      }
    }
  }
};

}  // namespace tessera::cpu
