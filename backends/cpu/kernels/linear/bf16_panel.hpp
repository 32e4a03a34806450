// SPDX-License-Identifier: Apache-2.0
//
// Any rows of bf16: codes of W are decoded a panel at a time, exactly, and
// multiplied; scales are applied to the sums of each group, so that nothing is
// rounded to bf16.  NVFP4's are not: a code has two
// significant bits and a scale four, and bf16 holds the six of their product.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/bf16_parts.hpp"

namespace tessera::cpu {

// `ProductOf` multiplies: multiply() a part of one group, multiply_groups()
// those that are less deep than a panel.
template <int kFormat, template <int> typename ProductOf>
class Bf16Panel {
  using Product = ProductOf<kFormat>;
  using Format = Bf16Format<kFormat>;
  using V = Avx512;
  using F = V::F;
  using Arch = Bf16Tiles<V>;
  using Scaling = GroupScales<V, kFormat>;
  static constexpr TileFormat kRow = kTileFormats[kFormat];
  static constexpr int kColumns = Format::kColumns;
  static constexpr int kSteps = steps_of_block(kRow);
  static constexpr int64_t kBlock = int64_t{kColumns} * kSteps;
  static constexpr int64_t kMaxGroups = kPanelDepth / 8;
  // Floats of the panel's pairs in the scratch; scales follow, then mins.
  static constexpr int64_t kPairFloats = kChunkCols * kPanelDepth / 2;
  static constexpr int64_t kScaleFloats = kMaxGroups * kChunkCols;
  static_assert(kPairFloats + 2 * kScaleFloats <= kPanelFloats);

 public:
  static void run(const FloatWork& work) {
    if constexpr (may_have_zeros(kRow)) {
      if (work.weight->zeros != nullptr) return columns<true>(work);
    }
    columns<false>(work);
  }

 private:
  template <bool kHasZeros>
  static void columns(const FloatWork& work) {
    const WeightShape& shape = work.weight->shape;
    if constexpr (Format::kInPlace) {
      const TileParts parts = tile_parts(*work.weight, work.n_begin);
      Product::template multiply<kHasZeros>(
          work, {0, shape.padded_K, 0, true, parts.codes, shape.tile_bytes,
                 nullptr, nullptr});
    } else if constexpr (Format::kScalesInPairs) {
      for (int64_t k = 0; k < shape.K; k += kPanelDepth) {
        scaled_panel(work, k, smaller(k + kPanelDepth, shape.K));
      }
    } else {
      const int64_t group_size =
          kRow.group != 0 ? kRow.group : shape.group_size;
      // Whole groups where they fit, so that sums are scaled once for each.
      const int64_t depth = group_size >= kPanelDepth
                                ? kPanelDepth
                                : kPanelDepth / group_size * group_size;
      for (int64_t k = 0; k < shape.K; k += depth) {
        panel<kHasZeros>(work, k, smaller(k + depth, shape.K), group_size);
      }
    }
  }

  template <bool kHasZeros>
  static void panel(const FloatWork& work, int64_t begin, int64_t end,
                    int64_t group_size) {
    auto* pairs = reinterpret_cast<uint8_t*>(work.panel);
    float* scales = work.panel + kPairFloats;
    float* mins = scales + kScaleFloats;
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      const TileParts parts = tile_parts(*work.weight, work.n_begin + j);
      decode(parts, begin, end, pairs + j * kPanelDepth * 2);
      decode_scales<kHasZeros>(parts,
                               {begin / group_size, (end - 1) / group_size + 1},
                               scales + j, mins + j);
    }
    if (group_size < kPanelDepth) {
      return Product::template multiply_groups<kHasZeros>(
          work, {begin, end, group_size, pairs, scales, mins});
    }
    for (int64_t k = begin; k < end;) {
      const int64_t group = k / group_size;
      const int64_t stop = smaller((group + 1) * group_size, end);
      const int64_t place = (group - begin / group_size) * kChunkCols;
      Product::template multiply<kHasZeros>(
          work,
          {k, Format::padded(stop), group, k == 0, pairs + (k - begin) * 32,
           kPanelTileBytes, scales + place, mins + place});
      k = stop;
    }
  }

  static void scaled_panel(const FloatWork& work, int64_t begin, int64_t end) {
    auto* pairs = reinterpret_cast<uint8_t*>(work.panel);
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      decode_scaled(tile_parts(*work.weight, work.n_begin + j), begin, end,
                    pairs + j * kPanelDepth * 2);
    }
    Product::template multiply<false>(
        work, {begin, Format::padded(end), 0, begin == 0, pairs,
               kPanelTileBytes, nullptr, nullptr});
  }

  static void decode_scaled(const TileParts& parts, int64_t begin, int64_t end,
                            uint8_t* out) {
    for (int64_t k = begin; k < end;
         k += kColumns, out += int64_t{32} * kColumns) {
      const F scale = Scaling::scale(parts, k / kRow.group);
      F w[kColumns];
      FloatTiles<V>::template unpack<kFormat, 0, false>(
          {}, parts.codes + k / kColumns * 64, nullptr, w);
      for (F& value : w) value = V::mul(value, scale);
      for (int v = 0; v < kColumns / 2; ++v) {
        // The upper halves, for what is cut off is zero.
        const int first = paired_column(code_bits(kRow.codes), 2 * v);
        const int second = paired_column(code_bits(kRow.codes), 2 * v + 1);
        const __m512i low =
            _mm512_srli_epi32(_mm512_castps_si512(w[first].v), 16);
        const __m512i high = _mm512_and_si512(_mm512_castps_si512(w[second].v),
                                              _mm512_set1_epi32(-65536));
        _mm512_storeu_si512(out + int64_t{64} * v, _mm512_or_si512(low, high));
      }
    }
  }

  static void decode(const TileParts& parts, int64_t begin, int64_t end,
                     uint8_t* out) {
    const typename Arch::template Tables<kFormat> tables{};
    for (int64_t k = begin; k < end; k += kBlock) {
      decode_block<0>(tables, parts, k, out + (k - begin) * 32);
    }
  }
  template <int kStep, typename Tables>
  [[gnu::always_inline]] static void decode_block(const Tables& tables,
                                                  const TileParts& parts,
                                                  int64_t k, uint8_t* out) {
    constexpr int kVectors = kColumns / 2;
    __m512i w[kVectors];
    Arch::template unpack<kFormat, kStep, false>(
        tables, parts.codes + (k / kColumns + kStep) * 64,
        kSteps == 1 ? nullptr : parts.high + k / kBlock * 64, w);
    for (int v = 0; v < kVectors; ++v) {
      _mm512_storeu_si512(out + int64_t{64} * (kStep * kVectors + v), w[v]);
    }
    if constexpr (kStep + 1 < kSteps) {
      decode_block<kStep + 1>(tables, parts, k, out);
    }
  }

  struct GroupRange {
    int64_t begin;
    int64_t end;
  };
  template <bool kHasZeros>
  static void decode_scales(const TileParts& parts, GroupRange groups,
                            float* scales, float* mins) {
    for (int64_t g = groups.begin; g < groups.end; ++g) {
      const int64_t place = (g - groups.begin) * kChunkCols;
      const F scale = Scaling::scale(parts, g);
      V::store<TSR_F32>(scales, place, scale);
      if constexpr (kRow.has_mins) {
        V::store<TSR_F32>(mins, place, Scaling::min(parts, g));
      } else if constexpr (kHasZeros) {
        const F own = V::set1(static_cast<float>(kRow.zero));
        const F zero = V::load<TSR_F32>(parts.zeros, g * kTileCols);
        V::store<TSR_F32>(mins, place, V::mul(V::sub(own, zero), scale));
      }
    }
  }
};

}  // namespace tessera::cpu
