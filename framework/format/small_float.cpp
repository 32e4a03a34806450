// SPDX-License-Identifier: Apache-2.0
//
// One pair of functions for every sign-exponent-mantissa layout, and the four
// layouts.

#include "framework/format/small_float.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera::format {
namespace {

struct Layout {
  int mantissa_bits;
  int min_exponent;  // of a normal number: 1 - bias
  int sign_bit;
  uint32_t max_code;  // of the largest finite magnitude
};

constexpr Layout kE4M3 = {3, -6, 7, 0x7e};
constexpr Layout kE5M2 = {2, -14, 7, 0x7b};
constexpr Layout kE2M1 = {1, 0, 3, 0x7};

// Magnitude codes count upwards from 0 in steps that double with each exponent,
// so code = (exponent - min_exponent) * 2^mantissa_bits + value / step holds
// for subnormals, for normals (whose value / step has the hidden bit) and
// across a carry.
uint32_t encode_magnitude(const Layout& layout, double value) {
  const int exponent = std::max(std::ilogb(value), layout.min_exponent);
  const double step = std::ldexp(1.0, exponent - layout.mantissa_bits);
  const double code =
      std::ldexp(exponent - layout.min_exponent, layout.mantissa_bits) +
      std::nearbyint(value / step);
  return static_cast<uint32_t>(std::min<double>(code, layout.max_code));
}

uint8_t encode(const Layout& layout, float value) {
  const uint32_t sign = std::signbit(value) ? 1U << layout.sign_bit : 0U;
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude == 0.0) return static_cast<uint8_t>(sign);
  if (std::isinf(value)) return static_cast<uint8_t>(sign | layout.max_code);
  return static_cast<uint8_t>(sign | encode_magnitude(layout, magnitude));
}

// Of a finite code.
float decode(const Layout& layout, uint32_t code) {
  const uint32_t magnitude = code & ((1U << layout.sign_bit) - 1);
  const uint32_t hidden = 1U << layout.mantissa_bits;
  const uint32_t field = magnitude / hidden;
  const uint32_t mantissa = magnitude % hidden + (field == 0 ? 0 : hidden);
  const int exponent =
      layout.min_exponent + static_cast<int>(field == 0 ? 0 : field - 1);
  const float value =
      std::ldexp(static_cast<float>(mantissa), exponent - layout.mantissa_bits);
  return (code >> layout.sign_bit & 1U) != 0 ? -value : value;
}

}  // namespace

float f8e4m3_to_f32(uint8_t code) {
  if ((code & 0x7fU) == 0x7fU) return std::numeric_limits<float>::quiet_NaN();
  return decode(kE4M3, code);
}

float f8e5m2_to_f32(uint8_t code) {
  const uint32_t magnitude = code & 0x7fU;
  if (magnitude > 0x7cU) return std::numeric_limits<float>::quiet_NaN();
  if (magnitude < 0x7cU) return decode(kE5M2, code);
  const float infinity = std::numeric_limits<float>::infinity();
  return (code & 0x80U) != 0 ? -infinity : infinity;
}

float f4e2m1_to_f32(uint8_t code) { return decode(kE2M1, code & 15U); }

float e8m0_to_f32(uint8_t code) {
  if (code == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, static_cast<int>(code) - 127);
}

uint8_t f32_to_f8e4m3(float value) {
  return std::isnan(value) ? 0x7f : encode(kE4M3, value);
}

uint8_t f32_to_f8e5m2(float value) {
  return std::isnan(value) ? 0x7f : encode(kE5M2, value);
}

uint8_t f32_to_f4e2m1(float value) {
  return std::isnan(value) ? 0 : encode(kE2M1, value);
}

uint8_t f32_to_e8m0(float value) {
  if (std::isnan(value)) return 255;
  if (value <= 0.0f) return 0;
  if (std::isinf(value)) return 254;
  return static_cast<uint8_t>(std::max(std::ilogb(value) + 127, 0));
}

}  // namespace tessera::format
