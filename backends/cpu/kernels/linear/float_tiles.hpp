// SPDX-License-Identifier: Apache-2.0
//
// 64 bytes of a tile's codes as columns of f32, lane = row of the tile, for
// every row of kTileFormats.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/group_scales.hpp"

namespace tessera::cpu {

// A step is what lies in 64 bytes of codes; a block is the steps whose high
// bits share a u32.
constexpr int step_columns(const TileFormat& row) {
  return 32 / code_bits(row.codes);
}
constexpr int steps_of_block(const TileFormat& row) {
  return row.high_bits == 0 ? 1 : 4 / row.high_bits;
}

// Values of the sixteen nibbles.
template <int kFormat>
struct NibbleValues {
  alignas(64) float of[16];

  constexpr NibbleValues() : of() {
    for (int i = 0; i < 16; ++i) of[i] = nibble_value(kTileFormats[kFormat], i);
  }
};
template <int kFormat>
inline constexpr NibbleValues<kFormat> kNibbleValues{};

template <typename V>
struct FloatTiles {
  using F = typename V::F;
  using T = Tile<V>;
  using W = F;      // one column
  using X = float;  // of rows of x

  static constexpr int kColumnsOfW = 1;
  static constexpr int kFewRows = T::kRowsAtOnce;
  static constexpr int kFewTiles = 1;
  // Zero points are taken from codes, where that is exact.
  static constexpr bool kZerosAreMins = false;

  template <int kFormat>
  struct Tables {};

  static F input(const X* x) { return V::set1(*x); }
  static F add(F acc, W w, F in) { return V::fma(in, w, acc); }

  // `high` is the u32s of the block.
  template <int kFormat, int kStep, bool kHasZeros, int kCount>
  static void unpack(const Tables<kFormat>& /*tables*/, const uint8_t* codes,
                     const uint8_t* high, F (&out)[kCount]) {
    constexpr TileFormat kRow = kTileFormats[kFormat];
    if constexpr (kRow.codes == Codes::kBf16) {
      const auto pairs = T::load_u32(codes);
      out[0] = T::float_of(T::template shift<-16>(pairs));
      out[1] = T::float_of(T::bits(pairs, 0xffff0000U));
    } else if constexpr (kRow.codes == Codes::kI8) {
      T::unpack_i8(codes, out);
    } else if constexpr (code_bits(kRow.codes) == 8) {
      unpack_f8<kRow.codes>(T::load_u32(codes), out);
    } else if constexpr (kRow.high_bits != 0) {
      unpack_wide<kFormat, kStep>(T::load_u32(codes), T::load_u32(high), out);
    } else if constexpr (kRow.codes == Codes::kNibbles) {
      T::template unpack_u4<!kHasZeros && kRow.zero == 8>(codes, out);
    } else {
      T::look_up_u4(codes, kNibbleValues<kFormat>.of, out);
    }
  }

 private:
  using I = typename T::I;

  template <Codes kCodes>
  static void unpack_f8(I codes, F (&out)[4]) {
    out[0] = f32_of_f8<V, kCodes>(codes);
    out[1] = f32_of_f8<V, kCodes>(T::template shift<8>(codes));
    out[2] = f32_of_f8<V, kCodes>(T::template shift<16>(codes));
    out[3] = f32_of_f8<V, kCodes>(T::template shift<24>(codes));
  }

  template <int kFormat, int kStep>
  static void unpack_wide(I codes, I high, F (&out)[8]) {
    out[0] = wide<kFormat, kStep, 0>(codes, high);
    out[1] = wide<kFormat, kStep, 1>(codes, high);
    out[2] = wide<kFormat, kStep, 2>(codes, high);
    out[3] = wide<kFormat, kStep, 3>(codes, high);
    out[4] = wide<kFormat, kStep, 4>(codes, high);
    out[5] = wide<kFormat, kStep, 5>(codes, high);
    out[6] = wide<kFormat, kStep, 6>(codes, high);
    out[7] = wide<kFormat, kStep, 7>(codes, high);
  }
  template <int kFormat, int kStep, int kColumn>
  static F wide(I codes, I high) {
    constexpr TileFormat kRow = kTileFormats[kFormat];
    constexpr int kNibble = 8 * (kColumn % 4) + 4 * (kColumn / 4);
    constexpr int kHigh = high_place(kRow.high_bits, kStep, kColumn) - 4;
    constexpr uint32_t kMask = ((1U << kRow.high_bits) - 1) << 4;
    const I low = T::bits(T::template shift<kNibble>(codes), 15);
    const I rest = T::bits(T::template shift<kHigh>(high), kMask);
    const F code = T::number(T::either(low, rest));
    if constexpr (kRow.zero == 0) return code;
    return V::sub(code, V::set1(static_cast<float>(kRow.zero)));
  }
};

}  // namespace tessera::cpu
