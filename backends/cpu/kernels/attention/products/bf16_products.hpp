// SPDX-License-Identifier: Apache-2.0
//
// The products that StreamingAttention asks for, of pairs of bf16 with f32
// sums: what TSR_ERROR_HALF_PRODUCTS allows.  Queries and weights are rounded
// to bf16, two to an f32 word; codes of the cache are exact.

#pragma once

#include "backends/cpu/kernels/attention/products/bf16_pairs.hpp"
#include "backends/cpu/kernels/attention/products/exp_avx512.hpp"
#include "backends/cpu/kernels/attention/products/register_tiles.hpp"

namespace tessera::cpu {

// Keeps what is compiled for this ISA apart from what is for plain AVX-512.
struct Avx512Bf16 : Avx512 {
  static __m512 multiply_add_pairs(__m512 a, __m512 b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
  static __m512 multiply_add_pairs(__m512i a, __m512i b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};

// Register tiles over words of two bf16.
struct Bf16Words : Avx512Bf16 {
  static F fma_terms(F a, F b, F sum) {
    return {multiply_add_pairs(a.v, b.v, sum.v)};
  }
};

template <uint32_t kDtype>
class Bf16Products {
 public:
  using V = Avx512Bf16;
  using F = V::F;

  static constexpr int kFewRowsLimit = 8;
  // Rounded queries keep what bf16 activations were.
  static constexpr bool kScalesQueries = false;

  static F exp(F x) { return exp_avx512(x); }

  static void convert_query(float* row, int64_t words) {
    constexpr int64_t kFloats = Pairs::kStep;
    for (int64_t d = 0; d < words; d += kFloats) {
      __m512i q[Pairs::kStepVecs];
      TSR_UNROLL
      for (int64_t i = 0; i < Pairs::kStepVecs; ++i) {
        const float* from = row + d + 32 * i;
        q[i] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + 16),
                                            _mm512_loadu_ps(from));
      }
      Pairs::order_query(q);
      TSR_UNROLL
      for (int64_t i = 0; i < Pairs::kStepVecs; ++i) {
        _mm512_storeu_si512(row + d / 2 + 16 * i, q[i]);
      }
    }
  }
  static void store_weights(float* row, int64_t i, F p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + i / 2),
                        (__m256i)_mm512_cvtneps_pbh(p.v));
  }

  static void few_scores(int rows, const CodeRows& keys, const float* q,
                         float* scores) {
    for_few_rows(rows, keys.head_dim, [&]<int kRows, int64_t kDim>() {
      dots<kRows, kDim>(keys, q, scores);
    });
  }
  static void few_sums(int rows, const CodeRows& values, const float* weights,
                       float* out, const float* alpha) {
    for_few_rows(rows, values.head_dim, [&]<int kRows, int64_t kDim>() {
      weighted<kRows, kDim>(values, weights, out, alpha);
    });
  }

  static void scores(int rows, const CodeRows& keys, const float* q,
                     float* packed, float* scores) {
    pack_keys(keys, packed);
    const int64_t steps = (keys.head_dim + Pairs::kStep - 1) / Pairs::kStep;
    Product<V, Bf16Words>::run(
        {rows, padded_dim(keys.num_keys), steps * Pairs::kStep / 2,
         keys.q_stride, kKeyTile, kKeyTile},
        q, packed, scores, nullptr);
  }
  static void sums(int rows, const CodeRows& values, const float* weights,
                   float* packed, float* out, const float* alpha) {
    pack_values(values, packed);
    const int64_t dim = padded_dim(values.head_dim);
    Product<V, Bf16Words>::run(
        {rows, dim, (values.num_keys + 1) / 2, kKeyTile, values.q_stride, dim},
        weights, packed, out, alpha);
  }

 protected:
  using Pairs = Bf16Pairs<kDtype>;

  // packed[pair of columns][key].
  static void pack_keys(const CodeRows& keys, float* packed) {
    const Pairs pairs;
    for (int64_t key = 0; key < keys.num_keys; key += V::kLanes) {
      for (int64_t d = 0; d < keys.head_dim; d += Pairs::kStep) {
        F square[Pairs::kStepVecs][V::kLanes];
        TSR_UNROLL
        for (int i = 0; i < V::kLanes; ++i) {
          __m512i row[Pairs::kStepVecs];
          pairs.load_key(keys.row[key + i], d, keys.head_dim, row);
          TSR_UNROLL
          for (int j = 0; j < Pairs::kStepVecs; ++j) {
            square[j][i].v = _mm512_castsi512_ps(row[j]);
          }
        }
        TSR_UNROLL
        for (int64_t j = 0; j < Pairs::kStepVecs; ++j) {
          V::transpose(square[j]);
          TSR_UNROLL
          for (int64_t i = 0; i < V::kLanes; ++i) {
            const int64_t pair = d / 2 + j * V::kLanes + i;
            V::store<TSR_F32>(packed, pair * kKeyTile + key, square[j][i]);
          }
        }
      }
    }
  }

  // packed[pair of keys][column].
  static void pack_values(const CodeRows& values, float* packed) {
    const Pairs pairs;
    for (int64_t key = 0; key < values.num_keys; key += 2) {
      for (int64_t d = 0; d < values.head_dim; d += 32) {
        __m512i pair[2];
        pairs.load_values(values.row[key], values.row[key + 1], d,
                          values.head_dim, pair);
        float* to = packed + key / 2 * values.q_stride + d;
        _mm512_storeu_si512(to, pair[0]);
        _mm512_storeu_si512(to + 16, pair[1]);
      }
    }
  }

 private:
  static constexpr int64_t kCodeBytes = kDtype == TSR_I8 ? 1 : 2;

  // Calls `body` for the next power of two of rows, and with the width of a row
  // where it is a usual one, else 0: known widths need no masks, and the loops
  // over them unroll.
  template <typename Body>
  static void for_few_rows(int rows, int64_t head_dim, const Body& body) {
    if (rows <= 1) return for_width<1>(head_dim, body);
    if (rows <= 2) return for_width<2>(head_dim, body);
    if (rows <= 4) return for_width<4>(head_dim, body);
    for_width<8>(head_dim, body);
  }
  template <int kRows, typename Body>
  static void for_width(int64_t head_dim, const Body& body) {
    if (head_dim == 128) return body.template operator()<kRows, 128>();
    if (head_dim == 64) return body.template operator()<kRows, 64>();
    body.template operator()<kRows, 0>();
  }

  // The tile after the next products is on its way to L2 (CodeRows::next); from
  // there the keys are brought into L1 a few ahead of the products, so that
  // what waits for memory does not hold these up.
  static constexpr int kKeysAhead = 8;
  [[gnu::always_inline]] static void fetch(const std::byte* row,
                                           int64_t columns) {
    TSR_UNROLL
    for (int64_t i = 0; i < columns * kCodeBytes; i += 64) {
      V::prefetch(row + i);
    }
  }
  // Inlined, else g++ takes it for a function without effect.
  [[gnu::always_inline]] static void fetch_soon(const CodeRows& codes, int key,
                                                int64_t d, int64_t columns) {
    if (key + kKeysAhead >= kKeyTile) return;
    const std::byte* row = codes.row[key + kKeysAhead] + d * kCodeBytes;
    TSR_UNROLL
    for (int64_t i = 0; i < columns * kCodeBytes; i += 64) {
      __builtin_prefetch(row + i);
    }
  }

  // Sixteen keys at a time: kRows parts of 16 / kRows keys by all rows.
  template <int kRows, int64_t kDim>
  static void dots(const CodeRows& keys, const float* q, float* out) {
    constexpr int kKeys = V::kFewSums / kRows;
    const int64_t head_dim = kDim != 0 ? kDim : keys.head_dim;
    const Pairs pairs;
    for (int key = 0; key < keys.num_keys; key += V::kLanes) {
      F part[kRows];
      for (int i = 0; i < kRows; ++i) {
        const int first = key + i * kKeys;
        for (int k = first; k < first + kKeys; ++k)
          fetch_soon(keys, k, 0, head_dim);
        part[i] = dots_of_part<kRows>(pairs, keys, head_dim, first, q);
        if (keys.next == nullptr) continue;
        for (int k = first; k < first + kKeys; ++k) {
          fetch(keys.next[k], head_dim);
        }
      }
      V::template gather_rows<kRows>(part);
      TSR_UNROLL
      for (int r = 0; r < kRows; ++r) {
        V::store<TSR_F32>(out, r * kKeyTile + key, part[r]);
      }
    }
  }

  // Lane r * kKeys + i: row r by key first + i.
  template <int kRows>
  [[gnu::always_inline]] static F dots_of_part(const Pairs& pairs,
                                               const CodeRows& keys,
                                               int64_t head_dim, int first,
                                               const float* q) {
    constexpr int kKeys = V::kFewSums / kRows;
    constexpr int kAtOnce = kKeys < 2 ? 1 : 2;
    F sum[V::kFewSums];
    TSR_UNROLL
    for (F& s : sum) s = V::zero();
    TSR_UNROLL
    for (int64_t d = 0; d < head_dim; d += Pairs::kStep) {
      TSR_UNROLL
      for (int i = 0; i < kKeys; i += kAtOnce) {
        __m512i right[kAtOnce][Pairs::kStepVecs];
        TSR_UNROLL
        for (int a = 0; a < kAtOnce; ++a) {
          pairs.load_key(keys.row[first + i + a], d, head_dim, right[a]);
        }
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          TSR_UNROLL
          for (int64_t j = 0; j < Pairs::kStepVecs; ++j) {
            const __m512i left = held(
                _mm512_loadu_si512(q + r * keys.q_stride + d / 2 + 16 * j));
            TSR_UNROLL
            for (int a = 0; a < kAtOnce; ++a) {
              F& s = sum[r * kKeys + i + a];
              s.v = V::multiply_add_pairs(left, right[a][j], s.v);
            }
          }
        }
      }
    }
    return V::sum_each(sum);
  }

  // Loaded once, not by each instruction that uses it.
  static __m512i held(__m512i x) {
    asm("" : "+v"(x));
    return x;
  }
  // From memory; from a register it is a shuffle.
  static __m512 broadcast(const float* x) {
    __m512 all;
    asm("vbroadcastss %1, %0" : "=v"(all) : "m"(*x));
    return all;
  }

  template <int kRows, int64_t kDim>
  static void weighted(const CodeRows& values, const float* weights, float* out,
                       const float* alpha) {
    constexpr int kVecs = V::kFewSums / kRows < 8 ? V::kFewSums / kRows : 8;
    constexpr int64_t kColumns = int64_t{kVecs} * V::kLanes;
    const int64_t head_dim = kDim != 0 ? kDim : values.head_dim;
    int64_t d = 0;
    for (; d + kColumns <= head_dim; d += kColumns) {
      columns<kRows, kVecs, true>(values, d, weights, out, alpha);
    }
    for (; d < head_dim; d += 32) {
      columns<kRows, 2, false>(values, d, weights, out, alpha);
    }
  }

  // Columns d .. d + 16 kVecs - 1 of the weighted sum; kWhole: values have all
  // of them.
  template <int kRows, int kVecs, bool kWhole>
  static void columns(const CodeRows& values, int64_t d, const float* weights,
                      float* out, const float* alpha) {
    constexpr int64_t kColumns = int64_t{kVecs} * V::kLanes;
    const int64_t end = kWhole ? d + kColumns : values.head_dim;
    const Pairs pairs;
    F sum[kRows][kVecs];
    TSR_UNROLL
    for (auto& row : sum) {
      TSR_UNROLL
      for (F& s : row) s = V::zero();
    }
    for (int key = 0; key < values.num_keys; key += 2) {
      fetch_soon(values, key, d, kColumns);
      fetch_soon(values, key + 1, d, kColumns);
      TSR_UNROLL
      for (int64_t j = 0; j < kVecs; j += 2) {
        __m512i right[2];
        pairs.load_values(values.row[key], values.row[key + 1],
                          d + j * V::kLanes, end, right);
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const __m512 left = broadcast(weights + r * kKeyTile + key / 2);
          TSR_UNROLL
          for (int i = 0; i < 2; ++i) {
            F& s = sum[r][j + i];
            s.v =
                V::multiply_add_pairs(left, _mm512_castsi512_ps(right[i]), s.v);
          }
        }
      }
      if (values.next != nullptr) {
        fetch(values.next[key] + d * kCodeBytes, kColumns);
        fetch(values.next[key + 1] + d * kCodeBytes, kColumns);
      }
    }
    const int64_t dim = padded_dim(values.head_dim);
    TSR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TSR_UNROLL
      for (int64_t j = 0; j < kVecs; ++j) {
        const int64_t column = d + j * V::kLanes;
        if (!kWhole && column >= dim) break;
        const int64_t at = r * dim + column;
        const F old = V::load<TSR_F32>(out, at);
        V::store<TSR_F32>(out, at, V::fma(old, V::set1(alpha[r]), sum[r][j]));
      }
    }
  }
};

}  // namespace tessera::cpu
