// SPDX-License-Identifier: Apache-2.0
//
// The integer products of fa3 by tiles of AMX; see integer_products.hpp.  Both
// factors of a score are s8, so queries need no offset.

#pragma once

#include "backends/cpu/kernels/attention/products/amx_few_scores.hpp"
#include "backends/cpu/kernels/attention/products/integer_products_vnni.hpp"

namespace tessera::cpu {

// `Tiles` has the members of AmxTiles.
template <typename Tiles>
class AmxIntegerProducts : public VnniProducts {
 public:
  static constexpr int kFewRowsLimit = kAmxRows;
  static constexpr int kStripRows = 2 * kAmxRows;

  static void offset_query(int8_t* /*row*/, int64_t /*bytes*/) {}

  // Of few rows.
  void scores(const IntegerShape& shape, const int8_t* q,
              const std::byte* const* k, int8_t* packed, int32_t* out) {
    const int64_t words = shape.row_stride / 4;
    auto* queries = reinterpret_cast<float*>(packed);
    float* copies = queries + kAmxRows * words;
    float* lines = copies + kAmxRows * words;
    pack_queries(reinterpret_cast<const float*>(q), words, words, queries);
    const int64_t depth = (shape.head_dim + 3) / 4 * 4;
    few_scores_by_amx<Tiles, AmxKind::kS8S8>(
        scope_,
        {shape.num_rows, k, shape.num_keys, depth, queries,
         reinterpret_cast<std::byte*>(copies), lines,
         reinterpret_cast<float*>(out)},
        shape.head_dim % 4 == 0, [&](const std::byte* key, std::byte* to) {
          __builtin_memcpy(to, key, static_cast<size_t>(shape.head_dim));
          for (int64_t d = shape.head_dim; d < depth; ++d) to[d] = {};
        });
  }
  void add_values(const IntegerShape& shape, const uint8_t* codes,
                  const std::byte* const* v, int8_t* packed, int32_t* sums) {
    pack_all_values(shape, v, packed);
    add_packed_values(shape, codes, packed, sums, [] {});
  }

  // Of many rows: packed once, then strip by strip.
  static void pack_all_keys(const IntegerShape& shape,
                            const std::byte* const* k, int8_t* packed) {
    for (int64_t g = 0; g < kGroups; ++g) {
      pack_keys(shape, k + g * 16, packed + g * shape.row_stride * 16);
    }
  }
  static void pack_all_values(const IntegerShape& shape,
                              const std::byte* const* v, int8_t* packed) {
    for (int64_t i = 0; i < quads_of(shape); ++i) {
      pack_values(shape, v + 4 * i, packed + i * 4 * shape.row_stride);
    }
  }
  template <typename Between>
  void packed_scores(const IntegerShape& shape, const int8_t* q,
                     const int8_t* packed, int32_t* out,
                     const Between& between) {
    AmxProduct<Tiles, AmxKind::kS8S8>::run(
        scope_,
        {shape.num_rows, kGroups, shape.row_stride, q, shape.row_stride, packed,
         kAmxRowBytes, shape.row_stride * 16, out,
         kKeyTile * int64_t{sizeof(int32_t)}, false},
        between);
  }
  template <typename Between>
  void add_packed_values(const IntegerShape& shape, const uint8_t* codes,
                         const int8_t* packed, int32_t* sums,
                         const Between& between) {
    AmxProduct<Tiles, AmxKind::kU8S8>::run(
        scope_,
        {shape.num_rows, padded_dim(shape.head_dim) / kAmxRows,
         quads_of(shape) * 4, codes, kKeyTile, packed, shape.row_stride * 4,
         kAmxRowBytes, sums, shape.row_stride * int64_t{sizeof(int32_t)}, true},
        between);
  }

 private:
  static int64_t quads_of(const IntegerShape& shape) {
    return (int64_t{shape.num_keys} + 3) / 4;
  }

  AmxScope<Tiles> scope_;
};

}  // namespace tessera::cpu
