// SPDX-License-Identifier: Apache-2.0
//
// Nibbles as the bytes that tiles of AMX multiply: 64 of them make two lines.

#include <immintrin.h>

#include "backends/cpu/kernels/linear/expand_rows.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kColumns = 8;  // in 64 bytes of a tile
constexpr int64_t kLine = 4;     // in a line of kI8Tiles
// See few_rows.hpp.
constexpr int64_t kPrefetchBytes = 4096;

// Bytes of a line whose columns lie before K, `left` of them.
__mmask64 columns_before(int64_t left) {
  if (left >= kLine) return ~__mmask64{0};
  if (left <= 0) return 0;
  return 0x1111111111111111U * ((1U << left) - 1);
}

}  // namespace

void expand_u4_group_avx512vnni(const uint8_t* nibbles, ColumnRange group,
                                uint8_t* codes, int32_t* sums) {
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i eights = _mm512_set1_epi8(8);
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i total = _mm512_setzero_si512();
  for (int64_t k = group.begin; k < group.end; k += kColumns) {
    const uint8_t* from = nibbles + k / kColumns * 64;
    __builtin_prefetch(from + kPrefetchBytes);
    const __m512i both = _mm512_loadu_si512(from);
    const __m512i first = _mm512_maskz_sub_epi8(
        columns_before(group.end - k), _mm512_and_si512(both, low), eights);
    const __m512i second = _mm512_maskz_sub_epi8(
        columns_before(group.end - k - kLine),
        _mm512_and_si512(_mm512_srli_epi16(both, 4), low), eights);
    uint8_t* to = codes + k * kTileCols;
    _mm512_storeu_si512(to, first);
    _mm512_storeu_si512(to + 64, second);
    total = _mm512_dpbusd_epi32(total, ones, _mm512_add_epi8(first, second));
  }
  _mm512_storeu_si512(sums, total);
}

}  // namespace tessera::cpu
