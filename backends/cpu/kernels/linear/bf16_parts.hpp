// SPDX-License-Identifier: Apache-2.0
//
// What a panel of decoded weights hands to the products of bf16, and what
// becomes of a sum.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/bf16_tiles.hpp"
#include "backends/cpu/kernels/linear/few_rows.hpp"

namespace tessera::cpu {

// From the pairs of one tile of a panel to those of the next.
inline constexpr int64_t kPanelTileBytes = kTileCols * kPanelDepth * 2;

template <int kFormat>
struct Bf16Format {
  static constexpr TileFormat kRow = kTileFormats[kFormat];
  static constexpr int kColumns = step_columns(kRow);
  // Stored as pairs, and multiplied where they lie.
  static constexpr bool kInPlace = kRow.codes == Codes::kBf16;
  static constexpr bool kScalesInPairs =
      kRow.codes == Codes::kF4E2M1 && kRow.scales == Scales::kF8E4M3;
  // Sums are what products add up to.
  static constexpr bool kIsPlain = kInPlace || kScalesInPairs;

  // Columns of K that a part ending at `end` has pairs for; those past an odd
  // end lie beyond K, where x is zero.
  static constexpr int64_t padded(int64_t end) {
    return (end + kColumns - 1) / kColumns * kColumns;
  }
};

// Columns begin .. end - 1 of K, of one group, in pairs from `w`.
struct Bf16Part {
  int64_t begin;
  int64_t end;
  int64_t group;
  bool is_first;  // sums start here
  const uint8_t* w;
  int64_t tile_bytes;  // from one tile's pairs to the next
  const float* scales;
  const float* mins;
};

// Groups of columns begin .. end - 1 of K, which a panel holds from `begin`, a
// group's first, on.
struct Bf16Groups {
  int64_t begin;
  int64_t end;
  int64_t group_size;
  const uint8_t* w;
  const float* scales;  // [groups][kChunkCols]
  const float* mins;
};

// sums = sums + scale * acc + min * (sum of x).
template <int kFormat, bool kHasZeros>
[[gnu::always_inline]] static inline void finish_part(const FloatWork& work,
                                                      const Bf16Part& part,
                                                      int64_t m, int64_t j,
                                                      Avx512::F acc) {
  using V = Avx512;
  using F = V::F;
  using Format = Bf16Format<kFormat>;
  const int64_t place = m * kChunkCols + j;
  F sum = part.is_first ? V::zero() : V::load<TSR_F32>(work.sums, place);
  if constexpr (Format::kInPlace) {
    sum = acc;
  } else if constexpr (Format::kScalesInPairs) {
    sum = V::add(sum, acc);
  } else {
    sum = V::fma(acc, V::load<TSR_F32>(part.scales, j), sum);
    if constexpr (Format::kRow.has_mins || kHasZeros) {
      // A group's first part carries its sum of x.
      const bool is_start =
          part.begin == part.group * (Format::kRow.group != 0
                                          ? int64_t{Format::kRow.group}
                                          : work.weight->shape.group_size);
      const float x_sum = work.x_sums[m * work.x_sums_stride + part.group];
      if (is_start) {
        sum = V::fma(V::set1(x_sum), V::load<TSR_F32>(part.mins, j), sum);
      }
    }
  }
  V::store<TSR_F32>(work.sums, place, sum);
}

}  // namespace tessera::cpu
