// SPDX-License-Identifier: Apache-2.0
//
// The products that StreamingAttention asks for by tiles of AMX in bf16, with
// keys and values packed as for vdpbf16ps: words of two bf16.

#pragma once

#include "backends/cpu/kernels/attention/products/amx_few_scores.hpp"
#include "backends/cpu/kernels/attention/products/bf16_products.hpp"

namespace tessera::cpu {

// `Tiles` has the members of AmxTiles.
template <typename Tiles, uint32_t kDtype>
class AmxBf16Products : public Bf16Products<kDtype> {
  using Base = Bf16Products<kDtype>;
  using Pairs = typename Base::Pairs;
  using Tiled = AmxProduct<Tiles, AmxKind::kBf16>;
  using V = typename Base::V;

 public:
  // As many as a tile has; one or two do not pay for it.
  static constexpr int kFewRowsLimit = kAmxRows;
  static constexpr int kVectorRows = 2;
  static constexpr int kStripRows = 2 * kAmxRows;

  // `packed` is scratch for kKeyTile rows of q_stride words.  The queries of
  // few rows, zero past them, are packed once.
  void begin(int64_t rows, const float* q, int64_t q_stride, float* packed) {
    keys_ = packed;
    values_ = packed + kKeyTile / 2 * q_stride;
    queries_ = packed;
    copies_ = queries_ + kAmxRows * q_stride / 2;
    lines_ = copies_ + kAmxRows * q_stride / 2;
    if (rows <= kFewRowsLimit) {
      pack_queries(q, q_stride, q_stride / 2, queries_);
    }
  }

  void few_scores(int rows, const CodeRows& keys, const float* q,
                  float* scores) {
    if (rows <= kVectorRows) return Base::few_scores(rows, keys, q, scores);
    const Pairs pairs;
    const int64_t words = words_of(keys.head_dim);
    // Bf16 keys are multiplied as they lie, int8 ones are widened.
    const bool in_place = kDtype == TSR_BF16 && keys.head_dim % 2 == 0;
    const int64_t depth = in_place ? keys.head_dim * 2 : words * 4;
    few_scores_by_amx<Tiles, AmxKind::kBf16>(
        scope_,
        {rows, keys.row, keys.num_keys, depth, queries_,
         reinterpret_cast<std::byte*>(copies_), lines_, scores},
        in_place, [&](const std::byte* key, std::byte* to) {
          widen_key(pairs, key, keys.head_dim, depth, to);
        });
    fetch_next(keys);
  }

  void few_sums(int rows, const CodeRows& values, const float* weights,
                float* out, const float* alpha) {
    if (rows <= kVectorRows) {
      return Base::few_sums(rows, values, weights, out, alpha);
    }
    Base::pack_values(values, values_);
    fetch_next(values);
    add_values(rows, values, weights, out, alpha, [] {});
  }

  void pack(const CodeRows& keys, const CodeRows& values) {
    Base::pack_keys(keys, keys_);
    Base::pack_values(values, values_);
  }

  // Scores of `rows` rows of q by the packed keys.
  template <typename Between>
  void scores(int rows, const CodeRows& keys, const float* q, float* scores,
              const Between& between) {
    Tiled::run(
        scope_,
        {rows, padded_dim(keys.num_keys) / kAmxRows,
         words_of(keys.head_dim) * kWord, q, keys.q_stride * kWord, keys_,
         kKeyTile * kWord, kAmxRowBytes, scores, kKeyTile * kWord, false},
        between);
  }

  // out = alpha out + weights times the packed values.
  template <typename Between>
  void add_values(int rows, const CodeRows& values, const float* weights,
                  float* out, const float* alpha, const Between& between) {
    const int64_t dim = padded_dim(values.head_dim);
    for (int r = 0; r < rows; ++r) {
      if (alpha[r] != 1.0f) scale_row(out + r * dim, dim, alpha[r]);
    }
    Tiled::run(scope_,
               {rows, dim / kAmxRows, (values.num_keys + 1) / 2 * kWord,
                weights, kKeyTile * kWord, values_, values.q_stride * kWord,
                kAmxRowBytes, out, dim * kWord, true},
               between);
  }

 private:
  static constexpr int64_t kWord = 4;  // bytes

  // Words of a packed row of codes.
  static int64_t words_of(int64_t head_dim) {
    return (head_dim + Pairs::kStep - 1) / Pairs::kStep * Pairs::kStep / 2;
  }

  static void scale_row(float* row, int64_t dim, float alpha) {
    for (int64_t d = 0; d < dim; d += V::kLanes) {
      V::template store<TSR_F32>(
          row, d, V::mul(V::template load<TSR_F32>(row, d), V::set1(alpha)));
    }
  }

  static void widen_key(const Pairs& pairs, const std::byte* key,
                        int64_t head_dim, int64_t depth, std::byte* to) {
    std::byte* end = to + depth;
    for (int64_t d = 0; d < head_dim; d += Pairs::kStep) {
      __m512i words[Pairs::kStepVecs];
      pairs.load_key(key, d, head_dim, words);
      for (int j = 0; j < Pairs::kStepVecs; ++j, to += 64) {
        const int64_t left = end - to;
        _mm512_mask_storeu_epi8(to, bits_left(0, left, 64), words[j]);
      }
    }
  }

  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void fetch_next(const CodeRows& codes) {
    if (codes.next == nullptr) return;
    constexpr int64_t kCodeBytes = kDtype == TSR_I8 ? 1 : 2;
    for (int i = 0; i < kKeyTile; ++i) {
      for (int64_t at = 0; at < codes.head_dim * kCodeBytes; at += 64) {
        V::prefetch(codes.next[i] + at);
      }
    }
  }

  AmxScope<Tiles> scope_;
  float* keys_ = nullptr;     // as pack_keys leaves them
  float* values_ = nullptr;   // likewise
  float* queries_ = nullptr;  // of few rows, in place of keys
  float* copies_ = nullptr;
  float* lines_ = nullptr;
};

}  // namespace tessera::cpu
