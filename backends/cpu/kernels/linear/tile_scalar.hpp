// SPDX-License-Identifier: Apache-2.0
//
// Codes of packed tiles as f32 vectors, lane = row of the tile: plain C++, and
// the definition of what tile_avx2.hpp and tile_avx512.hpp do.

#pragma once

#include <math.h>
#include <stdint.h>

#include "backends/cpu/kernels/ops/simd_scalar.hpp"

namespace tessera::cpu {

// Specialised beside each vector type.
template <typename V>
struct Tile;

template <>
struct Tile<Scalar> {
  using F = Scalar::F;

  // Rows of x per step of the kernels for few rows.
  static constexpr int kRowsAtOnce = 2;
  // Rows of W that one step of a dot product over dense rows takes.
  static constexpr int kDenseRows = 4;

  // 64 bytes [16 rows][4 columns]; out[j] is column j.
  static void unpack_i8(const uint8_t* codes, F (&out)[4]) {
    for (int j = 0; j < 4; ++j) {
      for (int r = 0; r < 16; ++r) {
        out[j].lane[r] =
            static_cast<float>(static_cast<int8_t>(codes[4 * r + j]));
      }
    }
  }
  // 64 bytes [16 rows][8 columns]; out[j] is column j minus 8, or as it is.
  template <bool kMinusEight>
  static void unpack_u4(const uint8_t* codes, F (&out)[8]) {
    constexpr int kShift = kMinusEight ? 8 : 0;
    for (int j = 0; j < 4; ++j) {
      for (int r = 0; r < 16; ++r) {
        const int pair = codes[4 * r + j];
        out[j].lane[r] = static_cast<float>((pair & 15) - kShift);
        out[j + 4].lane[r] = static_cast<float>((pair >> 4) - kShift);
      }
    }
  }
  static F from_i32(const int32_t* values) {
    F r;
    for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(values[i]);
    return r;
  }
  // a * b + c with one rounding.
  static F fused(F a, F b, F c) {
    for (int i = 0; i < 16; ++i) {
      a.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    }
    return a;
  }
};

}  // namespace tessera::cpu
