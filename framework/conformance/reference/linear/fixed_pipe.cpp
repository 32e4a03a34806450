// SPDX-License-Identifier: Apache-2.0
//
// Compiled without FMA contraction: every line rounds once.

#include "framework/conformance/reference/linear/fixed_pipe.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "framework/conformance/reference/linear/activation.hpp"
#include "framework/conformance/reference/linear/linear_integer.hpp"
#include "framework/tensor/half.hpp"

namespace tessera::reference {
namespace {

constexpr int kFractionBits = 10;
constexpr int kLeastExponent = -126;
constexpr float kMaxF16 = 65504.0f;

// Of a token: not a number where its codes have no scale.
float token_scale(const Linear& p, const IntegerActivation& rule, uint32_t m) {
  const float* x = p.x + size_t{m} * p.weight->K();
  const bool is_finite = std::all_of(
      x, x + p.weight->K(), [](float value) { return std::isfinite(value); });
  return is_finite ? rule.parameters.scale
                   : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

float cut_scale(float scale) {
  if (scale == 0.0f || !std::isfinite(scale)) return scale;
  const int exponent = std::max(std::ilogb(scale), kLeastExponent);
  const int shift = kFractionBits - exponent;
  return std::ldexp(std::trunc(std::ldexp(scale, shift)), -shift);
}

float deqf16(int64_t sum, float scale) {
  const auto saturated =
      static_cast<int32_t>(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX));
  const float value = static_cast<float>(saturated) * cut_scale(scale);
  if (std::isnan(value)) return value;
  return f16_to_f32(f32_to_f16(std::clamp(value, -kMaxF16, kMaxF16)));
}

Status leave_through_fixed_pipe(const Linear& p, float* y) {
  const Weight& weight = *p.weight;
  if (weight.group_size() < weight.K() || weight.has_scale2()) return {};
  TSR_ASSIGN_OR_RETURN(const IntegerActivation decode,
                       integer_activation(p.act_quant, weight, true));
  TSR_ASSIGN_OR_RETURN(const IntegerActivation prefill,
                       integer_activation(p.act_quant, weight, false));
  const uint32_t columns = p.num_columns();
  std::vector<int32_t> sums(size_t{p.M} * columns);
  TSR_RETURN_IF_ERROR(integer_accumulators(p, sums.data()));
  const auto bias = weight.quant_bias();
  for (uint32_t m = 0; m < p.M; ++m) {
    const IntegerActivation& rule = m < p.num_decode_tokens ? decode : prefill;
    if (!rule.is_static) continue;
    const float scale_a = token_scale(p, rule, m);
    for (uint32_t column = 0; column < columns; ++column) {
      const uint32_t n = p.n_begin + column;
      const size_t index = size_t{m} * columns + column;
      const int64_t sum = int64_t{sums[index]} + (bias.empty() ? 0 : bias[n]);
      const float scale = scale_a * weight.scale(n, 0);
      y[index] = apply_epilogue(p.epilogue, n, index, deqf16(sum, scale));
    }
  }
  return {};
}

}  // namespace tessera::reference
