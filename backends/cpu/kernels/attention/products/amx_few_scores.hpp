// SPDX-License-Identifier: Apache-2.0
//
// Scores of few rows of queries by tiles of AMX.  Keys are the rows of the
// product and queries its columns, so that keys are loaded where they lie in
// the cache and nothing of them is packed.

#pragma once

#include <cstddef>

#include "backends/cpu/kernels/amx/amx_product.hpp"
#include "backends/cpu/kernels/attention/attention_work.hpp"
#include "backends/cpu/kernels/ops/simd_avx512.hpp"

namespace tessera::cpu {

struct FewScores {
  int rows;                      // of queries, 1 to 16
  const std::byte* const* keys;  // [num_keys]
  int num_keys;
  int64_t depth;        // bytes of a key, a multiple of 4
  const void* queries;  // lines of four bytes of each of 16 rows
  std::byte* copies;    // of 16 keys, for those that do not lie evenly
  float* lines;         // scratch, [16][16]
  float* scores;        // [rows, kKeyTile], f32 or i32
};

// lines[word][row] = words[row][word], of 16 rows that are `stride` words
// apart.
[[maybe_unused]] static void pack_queries(const float* words, int64_t stride,
                                          int64_t num_words, float* lines) {
  for (int64_t w = 0; w < num_words; w += kAmxRows) {
    Avx512::F square[kAmxRows];
    TSR_UNROLL
    for (int64_t r = 0; r < kAmxRows; ++r) {
      square[r] = Avx512::load<TSR_F32>(words, r * stride + w);
    }
    Avx512::transpose(square);
    TSR_UNROLL
    for (int64_t i = 0; i < kAmxRows; ++i) {
      Avx512::store<TSR_F32>(lines, (w + i) * kAmxRows, square[i]);
    }
  }
}

// Where keys lie one after another the bytes from one to the next, else 0.
[[maybe_unused]] static int64_t spacing(const std::byte* const* keys,
                                        int count) {
  if (count == 1) return kAmxRowBytes;
  const int64_t space = keys[1] - keys[0];
  for (int i = 2; i < count; ++i) {
    if (keys[i] - keys[0] != i * space) return 0;
  }
  return space;
}

// `in_place` says whether keys are what is multiplied; copy(key, to) writes
// what is, `depth` bytes.
template <typename Tiles, AmxKind kKind, typename Copy>
void few_scores_by_amx(AmxScope<Tiles>& scope, const FewScores& op,
                       bool in_place, const Copy& copy) {
  for (int first = 0; first < op.num_keys; first += kAmxRows) {
    const int left = op.num_keys - first;
    const int count = left < kAmxRows ? left : kAmxRows;
    const std::byte* keys = op.keys[first];
    int64_t stride = in_place ? spacing(op.keys + first, count) : 0;
    if (stride == 0) {
      stride = op.depth;
      keys = op.copies;
      for (int i = 0; i < count; ++i) {
        copy(op.keys[first + i], op.copies + i * op.depth);
      }
    }
    AmxProduct<Tiles, kKind>::run(
        scope, {count, 1, op.depth, keys, stride, op.queries, kAmxRowBytes, 0,
                op.lines, kAmxRowBytes, false});
    Avx512::F square[kAmxRows];
    TSR_UNROLL
    for (int64_t i = 0; i < kAmxRows; ++i) {
      square[i] = Avx512::load<TSR_F32>(op.lines, i * kAmxRows);
    }
    Avx512::transpose(square);
    TSR_UNROLL
    for (int64_t r = 0; r < kAmxRows; ++r) {
      if (r >= op.rows) break;
      Avx512::store<TSR_F32>(op.scores, r * kKeyTile + first, square[r]);
    }
  }
}

}  // namespace tessera::cpu
