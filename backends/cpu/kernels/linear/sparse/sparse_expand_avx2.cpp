// SPDX-License-Identifier: Apache-2.0
//
// A shuffle looks up the book for 32 nibbles; the few escapes are stored over
// them one by one.

#include <immintrin.h>

#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"

namespace tessera::cpu {

const uint8_t* expand_sparse_avx2(const SparseTile& tile, uint8_t* codes) {
  const __m256i low = _mm256_set1_epi8(15);
  const uint8_t* escapes = tile.escapes;
  const uint8_t* nibbles = tile.nibbles;
  const auto look_up = [&](__m256i book, __m256i index) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                        _mm256_shuffle_epi8(book, index));
    auto escaped = static_cast<uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(index, low)));
    for (; escaped != 0; escaped &= escaped - 1) {
      codes[__builtin_ctz(escaped)] = *escapes++;
    }
    codes += 32;
  };
  for (int64_t k = 0; k < tile.padded_K; k += 8, nibbles += 64) {
    const __m256i book = _mm256_broadcastsi128_si256(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(
            tile.books + k / kSparseCols * kBookBytes)));
    const auto* pairs = reinterpret_cast<const __m256i*>(nibbles);
    const __m256i first = _mm256_loadu_si256(pairs);
    const __m256i second = _mm256_loadu_si256(pairs + 1);
    look_up(book, _mm256_and_si256(first, low));
    look_up(book, _mm256_and_si256(second, low));
    look_up(book, _mm256_and_si256(_mm256_srli_epi16(first, 4), low));
    look_up(book, _mm256_and_si256(_mm256_srli_epi16(second, 4), low));
  }
  return escapes;
}

}  // namespace tessera::cpu
