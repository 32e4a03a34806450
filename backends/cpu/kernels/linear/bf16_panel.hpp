// SPDX-License-Identifier: Apache-2.0
//
// Any rows of bf16: codes of W are decoded a panel at a time, exactly, and
// multiplied by register tiles; scales are applied to the sums of each group,
// so that nothing is rounded to bf16.  NVFP4's are not: a code has two
// significant bits and a scale four, and bf16 holds the six of their product.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/bf16_tiles.hpp"
#include "backends/cpu/kernels/linear/few_rows.hpp"

namespace tessera::cpu {

template <int kFormat>
class Bf16Panel {
  using V = Avx512;
  using F = V::F;
  using Arch = Bf16Tiles<V>;
  using Scaling = GroupScales<V, kFormat>;
  static constexpr TileFormat kRow = kTileFormats[kFormat];
  static constexpr int kColumns = step_columns(kRow);
  static constexpr int kSteps = steps_of_block(kRow);
  static constexpr int64_t kBlock = int64_t{kColumns} * kSteps;
  static constexpr bool kInPlace = kRow.codes == Codes::kBf16;
  static constexpr bool kScalesInPairs =
      kRow.codes == Codes::kF4E2M1 && kRow.scales == Scales::kF8E4M3;

  static constexpr int kTileRows = 6;  // 24 accumulators of 32 registers
  static constexpr int kTiles = static_cast<int>(kChunkCols / kTileCols);
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
  // Columns begin .. end - 1 of K, of one group, in pairs from `w`.
  struct Part {
    int64_t begin;
    int64_t end;
    int64_t group;
    bool is_first;  // sums start here
    const uint8_t* w;
    int64_t tile_bytes;  // from one tile's pairs to the next
    const float* scales;
    const float* mins;
  };

  template <bool kHasZeros>
  static void columns(const FloatWork& work) {
    const WeightShape& shape = work.weight->shape;
    if constexpr (kInPlace) {
      const TileParts parts = tile_parts(*work.weight, work.n_begin);
      multiply<kHasZeros>(work, {0, shape.padded_K, 0, true, parts.codes,
                                 shape.tile_bytes, nullptr, nullptr});
    } else if constexpr (kScalesInPairs) {
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
      return multiply_groups<kHasZeros>(work,
                                        {begin, end, group_size, scales, mins});
    }
    for (int64_t k = begin; k < end;) {
      const int64_t group = k / group_size;
      const int64_t stop = smaller((group + 1) * group_size, end);
      const int64_t place = (group - begin / group_size) * kChunkCols;
      // Pairs past an odd end lie beyond K, where x is zero.
      const int64_t padded = (stop + kColumns - 1) / kColumns * kColumns;
      multiply<kHasZeros>(
          work, {k, padded, group, k == 0, pairs + (k - begin) * 32,
                 kTileCols * kPanelDepth * 2, scales + place, mins + place});
      k = stop;
    }
  }

  static void scaled_panel(const FloatWork& work, int64_t begin, int64_t end) {
    auto* pairs = reinterpret_cast<uint8_t*>(work.panel);
    for (int64_t j = 0; j < work.num_cols; j += kTileCols) {
      decode_scaled(tile_parts(*work.weight, work.n_begin + j), begin, end,
                    pairs + j * kPanelDepth * 2);
    }
    const int64_t padded = (end + kColumns - 1) / kColumns * kColumns;
    multiply<false>(work, {begin, padded, 0, begin == 0, pairs,
                           kTileCols * kPanelDepth * 2, nullptr, nullptr});
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

  // ---- Groups that a panel holds several of: their scaled sums stay in
  // registers beside the group's own.

  static constexpr int kGroupCols = 2;  // 12 + 12 accumulators

  // Columns begin .. end - 1 of K; begin is a group's first.
  struct Groups {
    int64_t begin;
    int64_t end;
    int64_t group_size;
    const float* scales;  // [groups][kChunkCols]
    const float* mins;
  };

  template <bool kHasZeros>
  static void multiply_groups(const FloatWork& work, const Groups& part) {
    int64_t j = 0;
    for (; j + kGroupCols * kTileCols <= work.num_cols;
         j += kGroupCols * kTileCols) {
      group_rows<kHasZeros, kTileRows, kGroupCols>(work, part, 0, j);
    }
    for (; j < work.num_cols; j += kTileCols) {
      group_rows<kHasZeros, kTileRows, 1>(work, part, 0, j);
    }
  }
  template <bool kHasZeros, int kRows, int kCols>
  static void group_rows(const FloatWork& work, const Groups& part, int64_t m,
                         int64_t j) {
    for (; m + kRows <= work.M; m += kRows) {
      group_product<kHasZeros, kRows, kCols>(work, part, m, j);
    }
    if constexpr (kRows > 1) {
      group_rows<kHasZeros, kRows - 1, kCols>(work, part, m, j);
    }
  }

  template <bool kHasZeros, int kRows, int kCols>
  static void group_product(const FloatWork& work, const Groups& part,
                            int64_t m, int64_t j) {
    const int64_t stride = work.x_stride;
    const auto* w =
        reinterpret_cast<const uint8_t*>(work.panel) + j * kPanelDepth * 2;
    float* sums = work.sums + m * kChunkCols + j;
    F total[kRows][kCols];
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        total[r][c] =
            part.begin == 0
                ? V::zero()
                : V::load<TSR_F32>(sums, r * kChunkCols + c * kTileCols);
      }
    }
    int64_t group = part.begin / part.group_size;
    const float* scales = part.scales + j;
    const float* mins = part.mins + j;
    for (int64_t k = part.begin; k < part.end; k += part.group_size) {
      const int64_t stop = smaller(k + part.group_size, part.end);
      const uint16_t* x = work.x16 + m * stride + k;
      F acc[kRows][kCols];
      for (auto& row : acc) {
        for (F& sum : row) sum = V::zero();
      }
      const int64_t depth = (stop - k + kColumns - 1) / kColumns * kColumns;
      for (int64_t i = 0; i < depth; i += 2) {
        add_pairs(w + i * 32, kTileCols * kPanelDepth * 2, x + i, stride, acc);
      }
      const float* x_sums = work.x_sums + m * work.x_sums_stride + group;
      TSR_UNROLL
      for (int c = 0; c < kCols; ++c) {
        const F scale = V::load<TSR_F32>(scales, c * kTileCols);
        const F min = kRow.has_mins || kHasZeros
                          ? V::load<TSR_F32>(mins, c * kTileCols)
                          : V::zero();
        TSR_UNROLL
        for (int r = 0; r < kRows; ++r) {
          total[r][c] = V::fma(acc[r][c], scale, total[r][c]);
          if constexpr (kRow.has_mins || kHasZeros) {
            total[r][c] = V::fma(V::set1(x_sums[r * work.x_sums_stride]), min,
                                 total[r][c]);
          }
        }
      }
      w += (stop - k) * 32;
      ++group;
      scales += kChunkCols;
      mins += kChunkCols;
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        V::store<TSR_F32>(sums, r * kChunkCols + c * kTileCols, total[r][c]);
      }
    }
  }

  // One pair of columns of every tile by that of every row.
  template <int kRows, int kCols>
  [[gnu::always_inline]] static void add_pairs(const uint8_t* w,
                                               int64_t tile_bytes,
                                               const uint16_t* x,
                                               int64_t stride,
                                               F (&acc)[kRows][kCols]) {
    __m512i pairs[kCols];
    TSR_UNROLL
    for (int c = 0; c < kCols; ++c) {
      pairs[c] = _mm512_loadu_si512(w + c * tile_bytes);
    }
    TSR_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m512i in = Arch::input(x + r * stride);
      TSR_UNROLL
      for (int c = 0; c < kCols; ++c) {
        acc[r][c] = Arch::add(acc[r][c], pairs[c], in);
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

  // ---- Multiplying: register tiles of kTileRows x kTiles vectors.

  template <bool kHasZeros>
  static void multiply(const FloatWork& work, const Part& part) {
    int64_t j = 0;
    for (; j + kChunkCols <= work.num_cols; j += kChunkCols) {
      rows<kHasZeros, kTileRows, kTiles>(work, part, j);
    }
    for (; j < work.num_cols; j += kTileCols) {
      rows<kHasZeros, kTileRows, 1>(work, part, j);
    }
  }

  template <bool kHasZeros, int kRows, int kCols>
  static void rows(const FloatWork& work, const Part& part, int64_t j) {
    int64_t m = 0;
    for (; m + kRows <= work.M; m += kRows) {
      product<kHasZeros, kRows, kCols>(work, part, m, j);
    }
    rows_left<kHasZeros, kRows - 1, kCols>(work, part, m, j);
  }
  template <bool kHasZeros, int kRows, int kCols>
  static void rows_left(const FloatWork& work, const Part& part, int64_t m,
                        int64_t j) {
    if constexpr (kRows > 0) {
      if (work.M - m == kRows) {
        product<kHasZeros, kRows, kCols>(work, part, m, j);
      } else {
        rows_left<kHasZeros, kRows - 1, kCols>(work, part, m, j);
      }
    }
  }

  template <bool kHasZeros, int kRows, int kCols>
  static void product(const FloatWork& work, const Part& part, int64_t m,
                      int64_t j) {
    const int64_t stride = work.x_stride;
    const uint16_t* x = work.x16 + m * stride + part.begin;
    const uint8_t* w = part.w + j / kTileCols * part.tile_bytes;
    F acc[kRows][kCols];
    for (auto& row : acc) {
      for (F& sum : row) sum = V::zero();
    }
    for (int64_t i = 0; i < part.end - part.begin; i += 2) {
      add_pairs(w + i * 32, part.tile_bytes, x + i, stride, acc);
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kCols; ++c) {
        finish<kHasZeros>(work, part, m + r, j + c * kTileCols, acc[r][c]);
      }
    }
  }

  // sums = sums + scale * acc + min * (sum of x).
  template <bool kHasZeros>
  static void finish(const FloatWork& work, const Part& part, int64_t m,
                     int64_t j, F acc) {
    const int64_t place = m * kChunkCols + j;
    F sum = part.is_first ? V::zero() : V::load<TSR_F32>(work.sums, place);
    if constexpr (kInPlace) {
      sum = acc;
    } else if constexpr (kScalesInPairs) {
      sum = V::add(sum, acc);
    } else {
      sum = V::fma(acc, V::load<TSR_F32>(part.scales, j), sum);
      if constexpr (kRow.has_mins || kHasZeros) {
        // A group's first part carries its sum of x.
        const bool is_start =
            part.begin == part.group * (kRow.group != 0
                                            ? int64_t{kRow.group}
                                            : work.weight->shape.group_size);
        const float x_sum = work.x_sums[m * work.x_sums_stride + part.group];
        if (is_start) {
          sum = V::fma(V::set1(x_sum), V::load<TSR_F32>(part.mins, j), sum);
        }
      }
    }
    V::store<TSR_F32>(work.sums, place, sum);
  }
};

}  // namespace tessera::cpu
