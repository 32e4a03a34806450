// SPDX-License-Identifier: Apache-2.0
//
// How a linear quantizes its activations at run time; numerics.md section 1.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/linear/weight.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

// clamp(rne(x_times_inv) + zero_point, lo, hi); infinities saturate, NaN
// gives the code of 0.
int32_t round_to_code(float x_times_inv, int32_t zero_point, int32_t lo,
                      int32_t hi);

// Dynamic codes of one token, or of any other span that shares a scale:
//
//   amax = max |x|; inv = RN(max_code / amax)
//   code = clamp(rne(RN(x * inv)), -max_code, max_code)
//   scale = RN(amax * f32(1 / max_code))
//
// amax < 2^-100: codes and scale 0.  NaN or infinity: codes 0, scale NaN.
//
// Shapes    x, out_codes [K]
// Requires  max_code 127 or 7
// Returns   the scale
float quantize_dynamic(std::span<const float> x, int32_t max_code,
                       std::span<int32_t> out_codes);

// Static codes minus their zero point: clamp(rne(RN(x * inv)) + zero_point, lo,
// hi) - zero_point.  A token with NaN or infinity: codes 0, scale NaN (which
// numerics.md leaves open).
//
// Returns   the scale
float quantize_static(std::span<const float> x,
                      const Weight::StaticActivation& parameters, int32_t lo,
                      int32_t hi, std::span<int32_t> out_codes);

// E4M3 codes of one token as their values, in [-448, 448]: the dynamic rule
// with 448 for max_code and the rounding of the format.
//
// Returns   the scale
float quantize_f8(std::span<const float> x, std::span<float> out_values);

// The input row of a linear as its weight's columns see it: times
// INPUT_MULTIPLIER (rounded to f32), then PERMUTATION.
//
// Shapes    x, out_row [K]
void arrange_input(const Weight& weight, const float* x,
                   std::span<float> out_row);

// Which integers a token becomes under TSR_ACT_*.
struct IntegerActivation {
  bool is_static = false;
  int32_t max_code = 127;  // dynamic
  int32_t lo = 0;          // static
  int32_t hi = 0;
  Weight::StaticActivation parameters{};

  // No |code - zero point| is larger.
  int32_t max_integer() const;
};

// The rule for a token in the decode phase, or not, under act_quant
// I8_DYNAMIC, I8_STATIC, U8_STATIC, I8_MIX or I4_DYNAMIC.
//
// Errors  INVALID_ARGUMENT for another act_quant, a missing ACT_SCALE or
//         ACT_INV plane, or a zero point that is not a code
Result<IntegerActivation> integer_activation(uint32_t act_quant,
                                             const Weight& weight,
                                             bool is_decode);

// Returns the scale.
float quantize(const IntegerActivation& rule, std::span<const float> x,
               std::span<int32_t> out_codes);

}  // namespace tessera::reference
