// SPDX-License-Identifier: Apache-2.0
//
// Products by tiles whose groups of columns of K have scales of their own: the
// sums of a group pass through L1 and are added, scaled, to totals that stay in
// vector registers.  Only files compiled for AVX-512 may include this.

#pragma once

#include <immintrin.h>
#include <stdint.h>

#include "backends/cpu/kernels/amx/amx_tiles.hpp"
#include "backends/cpu/kernels/ops/unroll.hpp"

namespace tessera::cpu {

// 16 columns of totals = totals + sum over groups of scale(A B of the group);
// the first total is 0 unless `adds`.
struct AmxGroups {
  int64_t rows;  // 1 to 16
  int64_t num_groups;
  int64_t group_depth;  // bytes of a row of A, a multiple of 4
  const void* a;        // of the first group, which the others follow
  int64_t a_stride;
  const void* b;  // lines of 64 bytes, one after another
  float* totals;  // [rows]
  int64_t totals_stride;
  bool adds;
};

// `Scale` has
//   kBegins                 whether sums begin with other numbers than 0
//   begin(group, lines)     writes these, [1 or 16][16], and returns the bytes
//                           from row to row: 0 if all rows are alike
//   of_group(group)         an object whose add(row, sums, total) returns what
//                           becomes of a row's total
template <typename Tiles, AmxKind kKind, typename Scale>
class AmxGroupProduct {
  // Products of several groups hide the latency of each: there are four tiles
  // of sums.
  static constexpr int kAtOnce = 4;
  using Lines = int32_t[kAmxRows * kAmxRows];

 public:
  static void run(AmxScope<Tiles>& scope, const AmxGroups& op,
                  const Scale& scale) {
    const auto rows = static_cast<int>(op.rows);
    const auto rest = static_cast<int>(op.group_depth % kAmxRowBytes);
    // Rows and columns 1 are for what is left of a group.
    scope.configure(
        {{rows, rows}, {kAmxRowBytes, rest == 0 ? kAmxRowBytes : rest}});
    alignas(64) Lines sums[kAtOnce];
    if (rows < kAmxRows) __builtin_memset(sums, 0, sizeof(sums));
    __m512 total[kAmxRows];
    TSR_UNROLL
    for (int r = 0; r < kAmxRows; ++r) {
      total[r] = op.adds && r < rows
                     ? _mm512_loadu_ps(op.totals + r * op.totals_stride)
                     : _mm512_setzero_ps();
    }
    for (int64_t g = 0; g < op.num_groups; g += kAtOnce) {
      const int64_t left = op.num_groups - g;
      const int64_t end = left < kAtOnce ? left : kAtOnce;
      multiply<0>(op, scale, g, end, sums);
      for (int64_t i = 0; i < end; ++i) {
        const auto of_group = scale.of_group(g + i);
        TSR_UNROLL
        for (int r = 0; r < kAmxRows; ++r) {
          total[r] = of_group.add(
              r, _mm512_load_si512(sums[i] + int64_t{kAmxRows} * r), total[r]);
        }
      }
    }
    TSR_UNROLL
    for (int r = 0; r < kAmxRows; ++r) {
      if (r >= rows) break;
      _mm512_storeu_ps(op.totals + r * op.totals_stride, total[r]);
    }
  }

 private:
  // Groups `first` + kSums .. `first` + end - 1, each by a tile of its own.
  template <int kSums>
  static void multiply(const AmxGroups& op, const Scale& scale, int64_t first,
                       int64_t end, Lines (&sums)[kAtOnce]) {
    if constexpr (kSums < kAtOnce) {
      if (kSums >= end) return;
      group<kSums>(op, scale, first + kSums, sums[kSums]);
      multiply<kSums + 1>(op, scale, first, end, sums);
    }
  }

  template <int kSums>
  static void group(const AmxGroups& op, const Scale& scale, int64_t g,
                    Lines& sums) {
    if constexpr (Scale::kBegins) {
      const int64_t stride = scale.begin(g, sums);
      Tiles::template load_sums<kSums>(sums, stride);
    } else {
      Tiles::template clear<kSums>();
    }
    const char* a = static_cast<const char*>(op.a) + g * op.group_depth;
    const char* b = static_cast<const char*>(op.b) +
                    g * op.group_depth / kAmxLineBytes * kAmxRowBytes;
    int64_t at = 0;
    for (; at + kAmxRowBytes <= op.group_depth; at += kAmxRowBytes) {
      Tiles::template load_rows<0>(a + at, op.a_stride);
      Tiles::template load_columns<0>(b + at * kAmxRows, kAmxRowBytes);
      Tiles::template add<kKind, kSums, 0, 0>();
    }
    if (at < op.group_depth) {
      Tiles::template load_rows<1>(a + at, op.a_stride);
      Tiles::template load_columns<1>(b + at * kAmxRows, kAmxRowBytes);
      Tiles::template add<kKind, kSums, 1, 1>();
    }
    Tiles::template store_sums<kSums>(sums, kAmxRowBytes);
  }
};

}  // namespace tessera::cpu
