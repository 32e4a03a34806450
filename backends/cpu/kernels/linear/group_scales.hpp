// SPDX-License-Identifier: Apache-2.0
//
// Scales and mins of a group of columns in 16 rows, from any way of storing
// them.

#pragma once

#include <stdint.h>

#include "backends/cpu/kernels/linear/linear_kernel.hpp"
#include "backends/cpu/kernels/linear/tile_scalar.hpp"
#include "tessera/portable_math.h"

namespace tessera::cpu {

// Where the parts of a packed tile lie.
struct TileParts {
  const uint8_t* codes;
  const uint8_t* high;
  const uint8_t* scales;
  const float* zeros;  // [groups, 16] or null
  const uint8_t* mins;
};

[[maybe_unused]] static TileParts tile_parts(const LinearWeight& weight,
                                             int64_t n) {
  const WeightShape& shape = weight.shape;
  const int64_t tile = n / kTileCols;
  const int64_t blocked = tile * shape.num_groups * kTileCols;
  const auto at = [&](const std::byte* section, int64_t tile_bytes) {
    return section == nullptr
               ? nullptr
               : reinterpret_cast<const uint8_t*>(section) + tile * tile_bytes;
  };
  return {at(weight.codes, shape.tile_bytes),
          at(weight.high, shape.high_tile_bytes),
          at(weight.scale_codes, shape.scale_tile_bytes),
          weight.zeros == nullptr ? nullptr : weight.zeros + blocked,
          at(weight.mins, shape.num_groups * kTileCols * 2)};
}

// Floats of eight bits whose bits lie in the low byte of u32s, exactly.
template <typename V, Codes kCodes>
[[maybe_unused]] static typename V::F f32_of_f8(typename Tile<V>::I byte) {
  using T = Tile<V>;
  constexpr bool kIsE4M3 = kCodes == Codes::kF8E4M3;
  constexpr int kMantissa = kIsE4M3 ? 3 : 2;
  // The value of the first code that stands for no number, were it one.
  constexpr float kEnd = kIsE4M3 ? 480.0f : 65536.0f;
  const auto exponent =
      T::float_of(T::template shift<kMantissa - 23>(T::bits(byte, 0x7fU)));
  auto magnitude = V::mul(exponent, V::set1(kIsE4M3 ? 0x1p120f : 0x1p112f));
  const auto nan = V::set1(tsr_from_bits_f32(0x7fc00000U));
  auto special = nan;
  if constexpr (!kIsE4M3) {
    special = V::select_lt(V::set1(kEnd), magnitude, nan,
                           V::set1(tsr_from_bits_f32(0x7f800000U)));
  }
  magnitude = V::select_lt(magnitude, V::set1(kEnd), magnitude, special);
  const auto sign = T::bits(T::template shift<-24>(byte), 0x80000000U);
  return T::float_of(T::either(T::bits_of(magnitude), sign));
}

template <typename V, int kFormat>
class GroupScales {
  using F = typename V::F;
  using T = Tile<V>;
  static constexpr TileFormat kRow = kTileFormats[kFormat];

 public:
  static constexpr bool kHasScales = kRow.scales != Scales::kNone;

  static F scale(const TileParts& parts, int64_t g) {
    if constexpr (kRow.scales == Scales::kF32) {
      return V::template load<TSR_F32>(parts.scales, g * kTileCols);
    } else if constexpr (kRow.scales == Scales::kF16) {
      return V::template load<TSR_F16>(parts.scales, g * kTileCols);
    } else if constexpr (kRow.scales == Scales::kE8M0) {
      return power_of_two(T::load_u8(parts.scales + g * kTileCols));
    } else if constexpr (kRow.scales == Scales::kF8E4M3) {
      return f32_of_f8<V, Codes::kF8E4M3>(
          T::load_u8(parts.scales + g * kTileCols));
    } else if constexpr (kRow.scales == Scales::kQ4K) {
      const uint8_t* block = parts.scales + g / 8 * kQ4KScaleBytes;
      return V::mul(V::template load<TSR_F16>(block, 0),
                    six_bits(block, static_cast<int>(g % 8), false));
    } else {
      return q6_scale(parts, g);
    }
  }

  // What is added to each value of the group; kRow.has_mins.
  static F min(const TileParts& parts, int64_t g) {
    if constexpr (kRow.scales == Scales::kQ4K) {
      const uint8_t* block = parts.scales + g / 8 * kQ4KScaleBytes;
      const F dmin = V::template load<TSR_F16>(block, kTileCols);
      return V::mul(V::sub(V::zero(), dmin),
                    six_bits(block, static_cast<int>(g % 8), true));
    } else {
      return V::template load<TSR_F16>(parts.mins, g * kTileCols);
    }
  }

 private:
  static F power_of_two(typename T::I byte) {
    const F value = T::float_of(T::template shift<-23>(byte));
    const F least = V::set1(0x1p-127f);
    // 255 gives infinity, which times zero is the NaN that it stands for.
    return V::fma(value, V::zero(),
                  V::select_lt(value, V::set1(0x1p-126f), least, value));
  }

  // sc_j or m_j of types.h.
  static F six_bits(const uint8_t* block, int j, bool is_min) {
    const auto word = [&](int i) {
      return T::load_u32(block + 64 + int64_t{64} * i);
    };
    const auto own = word(is_min ? 1 : 0);
    if (j < 4) return T::number(T::bits(T::right(own, 8 * j), 63));
    const int place = 8 * (j - 4);
    const auto low = T::right(word(2), place + (is_min ? 4 : 0));
    return T::number(
        T::either(T::bits(low, 15), T::bits(T::right(own, place + 2), 0x30)));
  }

  static F q6_scale(const TileParts& parts, int64_t g) {
    const uint8_t* block = parts.scales + g / 16 * kQ6KScaleBytes;
    const auto j = static_cast<int>(g % 16);
    const auto codes =
        T::right(T::load_u32(block + int64_t{64} * (j / 4)), j % 4 * 8);
    return V::mul(V::template load<TSR_F16>(block, 128),
                  V::sub(T::number(T::bits(codes, 255)), V::set1(128.0f)));
  }
};

}  // namespace tessera::cpu
