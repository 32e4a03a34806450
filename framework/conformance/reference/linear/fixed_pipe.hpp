// SPDX-License-Identifier: Apache-2.0
//
// Integer linear on a chip whose accumulators leave through a fixed pipe: the
// numerics profile `hw` of the simulated NPU.

#pragma once

#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/linear/linear.hpp"

namespace tessera::reference {

// What is left of a scale: its sign, its exponent and 10 bits behind the
// leading one; the rest is cut off.
float cut_scale(float scale);

// int32 -> f16, as its value: the sum (saturated to i32) to f32, times the cut
// scale, saturated to +-65504, to the nearest f16, half to even.
float deqf16(int64_t sum, float scale);

// Computes those rows of `y` anew that have static codes, as deqf16 and the
// epilogue make them; y holds what linear() made.  Weights with several scales
// a row keep it: their sums do not leave as one.
//
// Errors  as linear_accumulators
Status leave_through_fixed_pipe(const Linear& p, float* y);

}  // namespace tessera::reference
