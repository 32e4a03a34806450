// SPDX-License-Identifier: Apache-2.0
//
// The products that StreamingAttention asks for, in f32: what TSR_ERROR_DOT
// allows.  bf16_products.hpp has the same for pairs of bf16.

#pragma once

#include "backends/cpu/kernels/attention/key_tile.hpp"
#include "backends/cpu/kernels/attention/products/register_tiles.hpp"
#include "backends/cpu/kernels/ops/portable_simd.hpp"

namespace tessera::cpu {

// Rows of queries, weights and packed codes all lie in f32 words; weights have
// rows of kKeyTile words.
template <typename V, uint32_t kDtype>
class FloatProducts {
 public:
  using F = typename V::F;

  // Packing keys pays from about this many rows on.
  static constexpr int kFewRowsLimit = 8;
  // The softmax scale is multiplied into queries, not into scores.
  static constexpr bool kScalesQueries = true;

  static F exp(F x) { return Portable<V>::exp(x); }

  // Makes what the products read of a row of queries, or of 16 weights at i.
  static void convert_query(float* /*row*/, int64_t /*words*/) {}
  static void store_weights(float* row, int64_t i, F p) {
    V::template store<TSR_F32>(row, i, p);
  }

  static void few_scores(int rows, const CodeRows& keys, const float* q,
                         float* scores) {
    for_few(rows, [&](int64_t r, int n) {
      Few::scores(n, keys, q + r * keys.q_stride, scores + r * kKeyTile);
    });
  }
  static void few_sums(int rows, const CodeRows& values, const float* weights,
                       float* out, const float* alpha) {
    const int64_t dim = padded_dim(values.head_dim);
    for_few(rows, [&](int64_t r, int n) {
      Few::weighted_sum(n, values, weights + r * kKeyTile, out + r * dim,
                        alpha + r);
    });
  }

  // scores[row][key] for all keys of the tile; `packed` is scratch.
  static void scores(int rows, const CodeRows& keys, const float* q,
                     float* packed, float* scores) {
    pack_keys(keys, packed);
    Product<V>::run({rows, padded_dim(keys.num_keys), keys.head_dim,
                     keys.q_stride, kKeyTile, kKeyTile},
                    q, packed, scores, nullptr);
  }
  // out[row] = alpha[row] out[row] + weights[row] V.
  static void sums(int rows, const CodeRows& values, const float* weights,
                   float* packed, float* out, const float* alpha) {
    pack_values(values, packed);
    const int64_t dim = padded_dim(values.head_dim);
    Product<V>::run({rows, dim, values.num_keys, kKeyTile, dim, dim}, weights,
                    packed, out, alpha);
  }

 private:
  using Few = FewRows<V, kDtype>;

  template <typename Body>
  static void for_few(int64_t rows, const Body& body) {
    for (int64_t r = 0; r < rows; r += Few::kMaxRows) {
      const int64_t left = rows - r;
      body(r, static_cast<int>(left < Few::kMaxRows ? left : Few::kMaxRows));
    }
  }

  static F codes(const std::byte* row, int64_t d, int64_t head_dim) {
    return d + V::kLanes <= head_dim
               ? V::template load<kDtype>(row, d)
               : V::template load_n<kDtype>(row, d,
                                            static_cast<int>(head_dim - d));
  }

  // packed[d][key], so that scores of consecutive keys are one vector.
  static void pack_keys(const CodeRows& keys, float* packed) {
    for (int64_t key = 0; key < keys.num_keys; key += V::kLanes) {
      for (int64_t d = 0; d < keys.head_dim; d += V::kLanes) {
        F square[V::kLanes];
        for (int i = 0; i < V::kLanes; ++i) {
          square[i] = key + i < keys.num_keys
                          ? codes(keys.row[key + i], d, keys.head_dim)
                          : V::zero();
        }
        V::transpose(square);
        for (int i = 0; i < V::kLanes; ++i) {
          V::template store<TSR_F32>(packed, (d + i) * kKeyTile + key,
                                     square[i]);
        }
      }
    }
  }

  // packed[key][d], widened.
  static void pack_values(const CodeRows& values, float* packed) {
    const int64_t dim = padded_dim(values.head_dim);
    for (int64_t key = 0; key < values.num_keys; ++key) {
      for (int64_t d = 0; d < values.head_dim; d += V::kLanes) {
        V::template store<TSR_F32>(packed, key * dim + d,
                                   codes(values.row[key], d, values.head_dim));
      }
    }
  }
};

}  // namespace tessera::cpu
