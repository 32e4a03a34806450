// SPDX-License-Identifier: Apache-2.0
//
// Activation codes, one f32 operation a line as numerics.md section 1 writes
// them.  Compiled without FMA contraction.

#include "framework/conformance/reference/linear/activation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "framework/format/small_float.hpp"

namespace tessera::reference {
namespace {

constexpr float kSmallestAmax = 0x1p-100f;

bool all_finite(std::span<const float> x) {
  return std::all_of(x.begin(), x.end(),
                     [](float value) { return std::isfinite(value); });
}

float amax_of(std::span<const float> x) {
  float amax = 0.0f;
  for (const float value : x) amax = std::max(amax, std::fabs(value));
  return amax;
}

}  // namespace

int32_t round_to_code(float x_times_inv, int32_t zero_point, int32_t lo,
                      int32_t hi) {
  if (std::isnan(x_times_inv)) return zero_point;
  // 2^24 is past every code and far from overflow.
  const float rounded =
      std::clamp(std::nearbyint(x_times_inv), -0x1p24f, 0x1p24f);
  return std::clamp(static_cast<int32_t>(rounded) + zero_point, lo, hi);
}

float quantize_dynamic(std::span<const float> x, int32_t max_code,
                       std::span<int32_t> out_codes) {
  std::fill(out_codes.begin(), out_codes.end(), 0);
  if (!all_finite(x)) return std::numeric_limits<float>::quiet_NaN();
  const float amax = amax_of(x);
  if (amax < kSmallestAmax) return 0.0f;

  const auto max = static_cast<float>(max_code);
  const float inv = max / amax;
  for (size_t k = 0; k < x.size(); ++k) {
    const float product = x[k] * inv;
    out_codes[k] = round_to_code(product, 0, -max_code, max_code);
  }
  const float reciprocal = 1.0f / max;
  return amax * reciprocal;
}

float quantize_static(std::span<const float> x,
                      const Weight::StaticActivation& parameters, int32_t lo,
                      int32_t hi, std::span<int32_t> out_codes) {
  std::fill(out_codes.begin(), out_codes.end(), 0);
  if (!all_finite(x)) return std::numeric_limits<float>::quiet_NaN();
  for (size_t k = 0; k < x.size(); ++k) {
    const float product = x[k] * parameters.inv;
    out_codes[k] = round_to_code(product, parameters.zero_point, lo, hi) -
                   parameters.zero_point;
  }
  return parameters.scale;
}

float quantize_f8(std::span<const float> x, std::span<float> out_values) {
  std::fill(out_values.begin(), out_values.end(), 0.0f);
  if (!all_finite(x)) return std::numeric_limits<float>::quiet_NaN();
  const float amax = amax_of(x);
  if (amax < kSmallestAmax) return 0.0f;

  const float inv = format::kF8E4M3Max / amax;
  for (size_t k = 0; k < x.size(); ++k) {
    const float product = x[k] * inv;
    out_values[k] = format::f8e4m3_to_f32(format::f32_to_f8e4m3(product));
  }
  const float reciprocal = 1.0f / format::kF8E4M3Max;
  return amax * reciprocal;
}

void arrange_input(const Weight& weight, const float* x,
                   std::span<float> out_row) {
  const auto permutation = weight.permutation();
  const auto multiplier = weight.input_multiplier();
  for (size_t k = 0; k < out_row.size(); ++k) {
    const size_t feature =
        permutation.empty() ? k : static_cast<size_t>(permutation[k]);
    out_row[k] =
        multiplier.empty() ? x[feature] : x[feature] * multiplier[feature];
  }
}

int32_t IntegerActivation::max_integer() const {
  if (!is_static) return max_code;
  return std::max(hi - parameters.zero_point, parameters.zero_point - lo);
}

Result<IntegerActivation> integer_activation(uint32_t act_quant,
                                             const Weight& weight,
                                             bool is_decode) {
  IntegerActivation rule;
  switch (act_quant) {
    case TSR_ACT_I8_DYNAMIC:
      return rule;
    case TSR_ACT_I4_DYNAMIC:
      rule.max_code = 7;
      return rule;
    case TSR_ACT_I8_MIX:
      if (!is_decode) return rule;
      [[fallthrough]];
    case TSR_ACT_I8_STATIC:
      rule.lo = -128;
      rule.hi = 127;
      break;
    case TSR_ACT_U8_STATIC:
      rule.hi = 255;
      break;
    default:
      return Status(
          TSR_INVALID_ARGUMENT,
          "act_quant " + std::to_string(act_quant) + " has no integer codes");
  }
  const auto parameters = weight.static_activation();
  if (!parameters) {
    return Status(TSR_INVALID_ARGUMENT,
                  "static activations without planes act_scale and act_inv");
  }
  if (parameters->zero_point < rule.lo || parameters->zero_point > rule.hi) {
    return Status(TSR_INVALID_ARGUMENT,
                  "act_zero_point " + std::to_string(parameters->zero_point) +
                      " is not a code");
  }
  rule.is_static = true;
  rule.parameters = *parameters;
  return rule;
}

float quantize(const IntegerActivation& rule, std::span<const float> x,
               std::span<int32_t> out_codes) {
  if (!rule.is_static) return quantize_dynamic(x, rule.max_code, out_codes);
  return quantize_static(x, rule.parameters, rule.lo, rule.hi, out_codes);
}

}  // namespace tessera::reference
