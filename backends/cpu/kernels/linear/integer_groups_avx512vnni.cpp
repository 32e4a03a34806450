// SPDX-License-Identifier: Apache-2.0
//
// u4 tiles with scales per group: a tile is read and unpacked once for up to
// eight rows, from its first group to its last.  The sums of a group's codes,
// which the zero points of x are multiplied by, are added up on the way, once
// for all rows.

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kColumns = 8;  // in 64 bytes of a tile
// See few_rows.hpp.
constexpr int64_t kPrefetchBytes = 4096;

// Tiles of one block of outputs, and its rows of x.
struct Block {
  const uint8_t* codes;
  int64_t tile_bytes;
  const float* scales;
  int64_t tile_scales;
  const uint8_t* x;
  int64_t x_stride;
  const int32_t* x_zeros;
};

struct Range {
  int64_t begin;
  int64_t end;
};

__m512i four_codes(const uint8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  return _mm512_set1_epi32(four);
}

// Sums of x * w over a range of columns, and of w alone.
template <int kRows, int kTiles>
struct Sums {
  // Few sums hide the latency of a product in two chains.
  static constexpr int kChains = kRows * kTiles < 4 ? 2 : 1;
  __m512i products[kRows][kTiles][kChains];
  __m512i codes[kTiles];

  [[gnu::always_inline]] void add(const Block& block, Range k) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i eights = _mm512_set1_epi8(8);
    const __m512i ones = _mm512_set1_epi8(1);
    for (int64_t i = k.begin; i < k.end; i += kColumns) {
      __m512i first[kTiles];
      __m512i second[kTiles];
      TSR_UNROLL
      for (int t = 0; t < kTiles; ++t) {
        const uint8_t* place =
            block.codes + t * block.tile_bytes + i / kColumns * 64;
        __builtin_prefetch(place + kPrefetchBytes);
        const __m512i pairs = _mm512_loadu_si512(place);
        first[t] = _mm512_sub_epi8(_mm512_and_si512(pairs, low), eights);
        second[t] = _mm512_sub_epi8(
            _mm512_and_si512(_mm512_srli_epi16(pairs, 4), low), eights);
        const __m512i both = _mm512_add_epi8(first[t], second[t]);
        codes[t] = _mm512_dpbusd_epi32(codes[t], ones, both);
      }
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const uint8_t* x = block.x + r * block.x_stride + i;
        const __m512i four = four_codes(x);
        const __m512i next = four_codes(x + 4);
        TSR_UNROLL
        for (int t = 0; t < kTiles; ++t) {
          __m512i(&sums)[kChains] = products[r][t];
          sums[0] = _mm512_dpbusd_epi32(sums[0], four, first[t]);
          sums[kChains - 1] =
              _mm512_dpbusd_epi32(sums[kChains - 1], next, second[t]);
        }
      }
    }
  }
};

template <int kRows, int kTiles>
void block_of_sums(const WeightShape& shape, const Block& block, float* out) {
  __m512 total[kRows][kTiles];
  for (auto& row : total) {
    for (__m512& sum : row) sum = _mm512_setzero_ps();
  }
  for (int64_t g = 0; g < shape.num_groups; ++g) {
    const int64_t begin = g * shape.group_size;
    const int64_t end =
        begin + shape.group_size < shape.K ? begin + shape.group_size : shape.K;
    // Past K x is 0, but the codes, which are 0 there, count as -8.
    const int64_t past = end == shape.K ? (kColumns - end % kColumns) % 8 : 0;
    Sums<kRows, kTiles> sums;
    TSR_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      sums.codes[t] = _mm512_set1_epi32(static_cast<int32_t>(8 * past));
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        for (__m512i& sum : sums.products[r][t]) sum = _mm512_setzero_si512();
      }
    }
    sums.add(block, {begin, end});
    TSR_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      const __m512 scale =
          _mm512_loadu_ps(block.scales + t * block.tile_scales + g * kTileCols);
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const __m512i zeros = _mm512_mullo_epi32(
            _mm512_set1_epi32(block.x_zeros[r]), sums.codes[t]);
        __m512i products = sums.products[r][t][0];
        if constexpr (sums.kChains > 1) {
          products = _mm512_add_epi32(products, sums.products[r][t][1]);
        }
        const __m512 sum =
            _mm512_cvtepi32_ps(_mm512_sub_epi32(products, zeros));
        total[r][t] = _mm512_fmadd_ps(sum, scale, total[r][t]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTiles; ++t) {
      _mm512_storeu_ps(out + r * kChunkCols + t * kTileCols, total[r][t]);
    }
  }
}

// Rows from m, tiles from column j: several share what is read of many rows.
template <int kRows, int kTiles>
void rows(const GroupsWork& work, int64_t m, int64_t j) {
  if constexpr (kRows < 4 && kTiles > 1) {
    rows<kRows, 1>(work, m, j);
    return rows<kRows, kTiles - 1>(work, m, j + kTileCols);
  }
  const WeightShape& shape = work.weight->shape;
  const int64_t tile = (work.n_begin + j) / kTileCols;
  const int64_t tile_scales = shape.num_groups * kTileCols;
  Block block{reinterpret_cast<const uint8_t*>(work.weight->codes) +
                  tile * shape.tile_bytes,
              shape.tile_bytes,
              work.weight->scales + tile * tile_scales,
              tile_scales,
              work.x + m * work.x_stride,
              work.x_stride,
              work.x_zeros + m};
  for (; m + kRows <= work.M; m += kRows) {
    block_of_sums<kRows, kTiles>(shape, block,
                                 work.groups + m * kChunkCols + j);
    block.x += kRows * work.x_stride;
    block.x_zeros += kRows;
  }
  if constexpr (kRows > 1) rows<kRows / 2, kTiles>(work, m, j);
}

}  // namespace

void integer_groups_u4_avx512vnni(const GroupsWork& work) {
  constexpr int kRows = 8;
  int64_t j = 0;
  for (; j + 2 * kTileCols <= work.num_cols; j += 2 * kTileCols) {
    rows<kRows, 2>(work, 0, j);
  }
  for (; j < work.num_cols; j += kTileCols) rows<kRows, 1>(work, 0, j);
}

}  // namespace tessera::cpu
