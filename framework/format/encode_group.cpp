// SPDX-License-Identifier: Apache-2.0
//
// The rules that encode.hpp states.

#include "framework/format/encode_group.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>

#include "framework/format/element.hpp"
#include "framework/format/small_float.hpp"

namespace tessera::format {
namespace {

// Smaller groups are taken for zeros: their scale could be subnormal.
constexpr float kSmallestAmax = 0x1p-100f;

}  // namespace

Range range_of(std::span<const float> values) {
  // Lanes of GCC's and clang's vector types; the order changes nothing.
  constexpr size_t kLanes = 4;
  using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));
  constexpr size_t kRegisters = 4;
  Floats lows[kRegisters] = {};
  Floats highs[kRegisters] = {};
  size_t i = 0;
  for (; i + kRegisters * kLanes <= values.size(); i += kRegisters * kLanes) {
    for (size_t r = 0; r < kRegisters; ++r) {
      Floats value;
      std::memcpy(&value, &values[i + r * kLanes], sizeof(value));
      lows[r] = value < lows[r] ? value : lows[r];
      highs[r] = value > highs[r] ? value : highs[r];
    }
  }
  Range range{0.0f, 0.0f};
  for (size_t r = 0; r < kRegisters; ++r) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      range.min = std::min(range.min, lows[r][lane]);
      range.max = std::max(range.max, highs[r][lane]);
    }
  }
  for (; i < values.size(); ++i) {
    range.min = std::min(range.min, values[i]);
    range.max = std::max(range.max, values[i]);
  }
  return range;
}

Range merge(Range a, Range b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max)};
}

IntegerGrid integer_grid(const WeightScheme& scheme) {
  const bool four_bits =
      scheme.format == TSR_WEIGHT_I4 || scheme.format == TSR_WEIGHT_U4;
  const bool is_signed =
      scheme.format == TSR_WEIGHT_I4 || scheme.format == TSR_WEIGHT_I8;
  const int32_t half = four_bits ? 8 : 128;
  const int32_t zero = is_signed ? 0 : half;
  const int32_t lo = zero - half;
  const int32_t hi = lo + 2 * half - 1;
  if (!scheme.symmetric) {
    return {lo, hi, lo, static_cast<float>(2 * half - 1)};
  }
  switch (scheme.scale_rule) {
    case ScaleRule::kHalfRange:
      return {lo, hi, zero, static_cast<float>(half)};
    case ScaleRule::kHalfSpan:
      return {lo, hi, zero, static_cast<float>(half) - 0.5f};
    case ScaleRule::kSignedMax:
      return {lo, hi, zero, static_cast<float>(-half)};
    default:
      break;
  }
  // Eight bits leave out -128, which int8 kernels may not be able to multiply.
  return {four_bits ? lo : lo + 1, hi, zero, static_cast<float>(half - 1)};
}

float round_scale(uint32_t scale_dtype, float scale) {
  std::array<std::byte, sizeof(float)> stored{};
  set_element_value(scale_dtype, stored.data(), 0, scale);
  return static_cast<float>(element_value(scale_dtype, stored.data(), 0));
}

GroupScale choose_integer_scale(const WeightScheme& scheme, Range range) {
  const IntegerGrid grid = integer_grid(scheme);
  if (range.amax() < kSmallestAmax) return {1.0f, grid.zero_point};
  const bool is_signed = grid.divisor < 0.0f;
  const double extent = !scheme.symmetric
                            ? double{range.max} - double{range.min}
                        : is_signed ? double{range.signed_amax()}
                                    : double{range.amax()};
  const float scale = round_scale(scheme.scale_dtype,
                                  static_cast<float>(extent / grid.divisor));
  if (scheme.symmetric || scale == 0.0f) return {scale, grid.zero_point};
  const float offset = std::nearbyint(-range.min / scale);
  const auto zero_point = static_cast<int32_t>(
      std::clamp(offset, 0.0f, static_cast<float>(grid.hi - grid.lo)));
  return {scale, grid.lo + zero_point};
}

float max_finite(uint32_t format) {
  switch (format) {
    case TSR_WEIGHT_F8E4M3:
      return kF8E4M3Max;
    case TSR_WEIGHT_F8E5M2:
      return kF8E5M2Max;
    default:
      assert(format == TSR_WEIGHT_F4E2M1);
      return kF4E2M1Max;
  }
}

GroupScale choose_float_scale(const WeightScheme& scheme, Range range) {
  if (range.amax() < kSmallestAmax) return {};
  return {
      round_scale(scheme.scale_dtype, range.amax() / max_finite(scheme.format)),
      0};
}

float choose_scale2(const WeightScheme& scheme, float row_amax) {
  if (row_amax < kSmallestAmax) return 1.0f;
  const float scale2 =
      round_scale(scheme.scale_dtype, row_amax / kTwoLevelUnits);
  return scale2 == 0.0f ? 1.0f : scale2;  // all codes are 0 then
}

int32_t two_level_code(int32_t scale, float scale2, float value) {
  const float step = static_cast<float>(scale) * scale2;
  const auto code = static_cast<int32_t>(
      std::clamp(std::nearbyint(value / step), -8.0f, 7.0f));
  const int32_t most = std::min(7, 127 / scale);
  const int32_t least = std::max(-8, -127 / scale);
  return std::clamp(code, least, most);
}

int32_t choose_two_level_scale(std::span<const float> values, float scale2) {
  const float amax = range_of(values).amax() / scale2;
  const auto nearest = static_cast<int32_t>(std::nearbyint(amax / 7.0f));
  int32_t best = 1;
  double best_error = INFINITY;
  const int32_t last = std::clamp(nearest + 1, 1, kTwoLevelUnits / 7);
  // Smaller scales cut the largest value off, which may pay for finer steps.
  for (int32_t scale = std::clamp(nearest - 2, 1, last); scale <= last;
       ++scale) {
    double error = 0.0;
    for (const float value : values) {
      const double decoded =
          double{scale2} * scale * two_level_code(scale, scale2, value);
      error += (decoded - value) * (decoded - value);
    }
    if (error < best_error) {
      best_error = error;
      best = scale;
    }
  }
  return best;
}

int32_t integer_code(const IntegerGrid& grid, GroupScale group, float value) {
  if (group.scale == 0.0f) return group.zero_point;
  // Rounding a stored scale down can push a quotient past the last code.
  const float steps =
      std::clamp(std::nearbyint(value / group.scale), -512.0f, 512.0f);
  return std::clamp(static_cast<int32_t>(steps) + group.zero_point, grid.lo,
                    grid.hi);
}

}  // namespace tessera::format
