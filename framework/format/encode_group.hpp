// SPDX-License-Identifier: Apache-2.0
//
// How one group of weights gets its scale, zero point and codes: the part of
// encode.cpp that knows numbers but no planes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "framework/format/encode.hpp"

namespace tessera::format {

// Of values, widened to hold 0.
struct Range {
  float min = 0.0f;
  float max = 0.0f;

  float amax() const { return -min > max ? -min : max; }
  // The one of min and max whose magnitude is amax; max if both are.
  float signed_amax() const { return -min > max ? min : max; }
};

Range range_of(std::span<const float> values);
Range merge(Range a, Range b);

// Codes of an integer format: code = clamp(rne(x / scale) + zero_point, lo, hi)
struct IntegerGrid {
  int32_t lo;
  int32_t hi;
  int32_t zero_point;  // symmetric: the code of 0
  // scale = amax / divisor, or (max - min) / divisor; negative: the value of
  // largest magnitude / divisor
  float divisor;
};
IntegerGrid integer_grid(const WeightScheme& scheme);

struct GroupScale {
  float scale = 1.0f;  // as stored
  int32_t zero_point = 0;
};

// `stored` rounds a scale to the scheme's scale_dtype.
float round_scale(uint32_t scale_dtype, float scale);

GroupScale choose_integer_scale(const WeightScheme& scheme, Range range);

// Largest finite value of F8E4M3, F8E5M2 or F4E2M1.
float max_finite(uint32_t format);
GroupScale choose_float_scale(const WeightScheme& scheme, Range range);

// I4 in two levels: the integer scale of a group, in units of SCALE2 > 0, that
// errs least, and the nearest code that keeps |scale * code| within 127.
float choose_scale2(const WeightScheme& scheme, float row_amax);
inline constexpr int32_t kTwoLevelUnits = 126;  // amax of a row / SCALE2
int32_t choose_two_level_scale(std::span<const float> values, float scale2);
int32_t two_level_code(int32_t scale, float scale2, float value);

int32_t integer_code(const IntegerGrid& grid, GroupScale group, float value);

}  // namespace tessera::format
