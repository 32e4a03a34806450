// SPDX-License-Identifier: Apache-2.0
//
// Compressed s8 weights, decoded in registers: a shuffle looks up the book for
// 64 nibbles, vpexpandb puts the escapes among them, and their count moves on
// in the list of escapes.  Only that count waits for the one before, so the
// look-ups overlap.

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/sparse/sparse_expand.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

namespace tessera::cpu {
namespace {

constexpr int64_t kColumns = 8;  // in 64 bytes of nibbles
// See few_rows.hpp.
constexpr int64_t kPrefetchBytes = 4096;

// Reads a tile from its first column to its last.
class SparseReader {
 public:
  explicit SparseReader(const SparseTile& tile)
      : nibbles_(tile.nibbles), books_(tile.books), escapes_(tile.escapes) {}

  // The next 128 columns are of the next book.
  [[gnu::always_inline]] void open_book() {
    book_ = _mm512_broadcast_i32x4(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(books_)));
    books_ += kBookBytes;
  }

  // The codes of the next eight columns, as two vectors of kI8Tiles.
  [[gnu::always_inline]] void next(__m512i& first, __m512i& second) {
    const __m512i low = _mm512_set1_epi8(15);
    __builtin_prefetch(nibbles_ + kPrefetchBytes);
    const __m512i pairs = _mm512_loadu_si512(nibbles_);
    nibbles_ += 64;
    first = look_up(_mm512_and_si512(pairs, low));
    second = look_up(_mm512_and_si512(_mm512_srli_epi16(pairs, 4), low));
  }

  // What comes after the columns read.
  const uint8_t* escapes() const { return escapes_; }

 private:
  [[gnu::always_inline]] __m512i look_up(__m512i index) {
    const __mmask64 escaped =
        _mm512_cmpeq_epi8_mask(index, _mm512_set1_epi8(15));
    const __m512i codes =
        _mm512_mask_expand_epi8(_mm512_shuffle_epi8(book_, index), escaped,
                                _mm512_loadu_si512(escapes_));
    escapes_ += __builtin_popcountll(escaped);
    return codes;
  }

  const uint8_t* nibbles_;
  const uint8_t* books_;
  const uint8_t* escapes_;
  __m512i book_{};
};

__m512i four_codes(const uint8_t* x) {
  int32_t four;
  __builtin_memcpy(&four, x, sizeof(four));
  return _mm512_set1_epi32(four);
}

template <int kRows>
void tile_of_rows(const IntegerWork& work, int64_t j) {
  const int64_t tile = (work.n_begin + j) / kTileCols;
  const SparseTile source = sparse_tile(*work.weight, tile);
  SparseReader reader(source);
  __m512i sums[kRows];
  __m512i others[kRows];  // a second chain
  TSR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    sums[r] = _mm512_setzero_si512();
    others[r] = _mm512_setzero_si512();
  }
  for (int64_t begin = 0; begin < source.padded_K; begin += kSparseCols) {
    reader.open_book();
    const int64_t end = begin + kSparseCols < source.padded_K
                            ? begin + kSparseCols
                            : source.padded_K;
    for (int64_t k = begin; k < end; k += kColumns) {
      __m512i first;
      __m512i second;
      reader.next(first, second);
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const uint8_t* x = work.x + r * work.x_stride + k;
        sums[r] = _mm512_dpbusd_epi32(sums[r], four_codes(x), first);
        others[r] = _mm512_dpbusd_epi32(others[r], four_codes(x + 4), second);
      }
    }
  }
  const __m512i code_sums =
      _mm512_loadu_si512(work.weight->sums + tile * kTileCols);
  TSR_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const __m512i zeros =
        _mm512_mullo_epi32(_mm512_set1_epi32(work.x_zeros[r]), code_sums);
    _mm512_storeu_si512(
        work.sums + r * kChunkCols + j,
        _mm512_sub_epi32(_mm512_add_epi32(sums[r], others[r]), zeros));
  }
}

// All work.M <= kRows rows at once, so that a tile is decoded once.
template <int kRows>
void tile_of(const IntegerWork& work, int64_t j) {
  if constexpr (kRows > 0) {
    if (work.M == kRows) return tile_of_rows<kRows>(work, j);
    tile_of<kRows - 1>(work, j);
  }
}

}  // namespace

void integer_sparse_avx512bf16(const IntegerWork& work) {
  for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
    tile_of<kFewSparseRows>(work, j);
  }
}

const uint8_t* expand_sparse_avx512bf16(const SparseTile& tile,
                                        uint8_t* codes) {
  SparseReader reader(tile);
  for (int64_t k = 0; k < tile.padded_K; k += kColumns, codes += 128) {
    if (k % kSparseCols == 0) reader.open_book();
    __m512i first;
    __m512i second;
    reader.next(first, second);
    _mm512_storeu_si512(codes, first);
    _mm512_storeu_si512(codes + 64, second);
  }
  return reader.escapes();
}

}  // namespace tessera::cpu
