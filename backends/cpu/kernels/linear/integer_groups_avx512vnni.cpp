// SPDX-License-Identifier: Apache-2.0
//
// Few rows over u4 tiles with scales per group: a tile is read once from its
// first group to its last.  Nibbles are the unsigned side of vpdpbusd and codes
// of x the signed one, so that nibbles need no zero point taken from them:
// sum q (w - 8) = sum q w - 8 sum q.

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kColumns = 8;  // in 64 bytes of a tile

struct Tile16 {
  const uint8_t* codes;
  const float* scales;
};

// Four codes of x, from code + 128 to s8.
__m512i codes_of(const uint8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  return _mm512_set1_epi32(
      static_cast<int32_t>(static_cast<uint32_t>(four) ^ 0x80808080U));
}

template <int64_t kRows>
void tile(const GroupsWork& work, const Tile16& from, int64_t m, int64_t j) {
  const WeightShape& shape = work.weight->shape;
  const uint8_t* x = work.x + m * work.x_stride;
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i eights = _mm512_set1_epi8(8);
  __m512 total[kRows];
  for (__m512& sum : total) sum = _mm512_setzero_ps();
  for (int64_t g = 0; g < shape.num_groups; ++g) {
    const int64_t begin = g * shape.group_size;
    const int64_t end =
        begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
    // Past K, codes of x are stored as 0, which stands for -128.
    const int64_t past = end == shape.K ? (kColumns - end % kColumns) % 8 : 0;
    __m512i acc[kRows];
    __m512i eight_q[kRows];
    TSR_UNROLL
    for (int64_t r = 0; r < kRows; ++r) {
      acc[r] = _mm512_setzero_si512();
      eight_q[r] =
          _mm512_set1_epi32(static_cast<int32_t>(int64_t{1024} * past));
    }
    for (int64_t k = begin; k < end; k += kColumns) {
      const __m512i pairs = _mm512_loadu_si512(from.codes + k / kColumns * 64);
      const __m512i first = _mm512_and_si512(pairs, low);
      const __m512i second = _mm512_and_si512(_mm512_srli_epi16(pairs, 4), low);
      TSR_UNROLL
      for (int64_t r = 0; r < kRows; ++r) {
        const uint8_t* row = x + r * work.x_stride + k;
        const __m512i four = codes_of(row);
        const __m512i next = codes_of(row + 4);
        acc[r] = _mm512_dpbusd_epi32(acc[r], first, four);
        acc[r] = _mm512_dpbusd_epi32(acc[r], second, next);
        eight_q[r] = _mm512_dpbusd_epi32(eight_q[r], eights, four);
        eight_q[r] = _mm512_dpbusd_epi32(eight_q[r], eights, next);
      }
    }
    const __m512 scale = _mm512_loadu_ps(from.scales + g * kTileCols);
    TSR_UNROLL
    for (int64_t r = 0; r < kRows; ++r) {
      const __m512i sum = _mm512_sub_epi32(acc[r], eight_q[r]);
      total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, total[r]);
    }
  }
  for (int64_t r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(work.groups + (m + r) * kChunkCols + j, total[r]);
  }
}

template <int64_t kRows>
void rows(const GroupsWork& work, const Tile16& from, int64_t m, int64_t j) {
  for (; m + kRows <= work.M; m += kRows) tile<kRows>(work, from, m, j);
  if constexpr (kRows > 1) rows<kRows / 2>(work, from, m, j);
}

}  // namespace

void integer_groups_u4_avx512vnni(const GroupsWork& work) {
  const WeightShape& shape = work.weight->shape;
  for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
    const int64_t tile_index = (work.n_begin + j) / kTileCols;
    rows<kFewGroupRows>(
        work,
        {reinterpret_cast<const uint8_t*>(work.weight->codes) +
             tile_index * shape.tile_bytes,
         work.weight->scales + tile_index * shape.num_groups * kTileCols},
        0, j);
  }
}

}  // namespace tessera::cpu
