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
  // Likewise; out[j] is table[column j].
  static void look_up_u4(const uint8_t* codes, const float* table,
                         F (&out)[8]) {
    for (int j = 0; j < 4; ++j) {
      for (int r = 0; r < 16; ++r) {
        const int pair = codes[4 * r + j];
        out[j].lane[r] = table[pair & 15];
        out[j + 4].lane[r] = table[pair >> 4];
      }
    }
  }

  // Sixteen u32.
  struct I {
    uint32_t lane[16];
  };
  static I load_u32(const void* from) {
    I r;
    __builtin_memcpy(r.lane, from, sizeof(r.lane));
    return r;
  }
  static I load_u8(const void* from) {
    const auto* bytes = static_cast<const uint8_t*>(from);
    I r;
    for (int i = 0; i < 16; ++i) r.lane[i] = bytes[i];
    return r;
  }
  // Shifted right logically, or left where kShift is negative.
  template <int kShift>
  static I shift(I a) {
    for (uint32_t& v : a.lane) {
      if constexpr (kShift < 0) {
        v <<= -kShift;
      } else {
        v >>= kShift;
      }
    }
    return a;
  }
  static I right(I a, int count) {
    for (uint32_t& v : a.lane) v >>= count;
    return a;
  }
  static I bits(I a, uint32_t mask) {
    for (uint32_t& v : a.lane) v &= mask;
    return a;
  }
  static I either(I a, I b) {
    for (int i = 0; i < 16; ++i) a.lane[i] |= b.lane[i];
    return a;
  }
  // The larger of signed numbers.
  static I larger(I a, I b) {
    for (int i = 0; i < 16; ++i) {
      const bool is_less =
          static_cast<int32_t>(a.lane[i]) < static_cast<int32_t>(b.lane[i]);
      if (is_less) a.lane[i] = b.lane[i];
    }
    return a;
  }
  // As signed numbers, and as the bits of floats.
  static F number(I a) {
    F r;
    for (int i = 0; i < 16; ++i) {
      r.lane[i] = static_cast<float>(static_cast<int32_t>(a.lane[i]));
    }
    return r;
  }
  static F float_of(I a) {
    F r;
    __builtin_memcpy(r.lane, a.lane, sizeof(r.lane));
    return r;
  }

  static I bits_of(F a) {
    I r;
    __builtin_memcpy(r.lane, a.lane, sizeof(r.lane));
    return r;
  }

  static F from_i32(const int32_t* values) {
    F r;
    for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(values[i]);
    return r;
  }
  // 64 bytes: x rounded to nearest even plus `shift`, which is 0 .. 255.
  static void store_codes(const F (&x)[4], int32_t shift, uint8_t* out) {
    for (int i = 0; i < 64; ++i) {
      const float whole =
          x[i / 16].lane[i % 16] + TSR_ROUND_MAGIC - TSR_ROUND_MAGIC;
      out[i] = static_cast<uint8_t>(static_cast<int32_t>(whole) + shift);
    }
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
