// SPDX-License-Identifier: Apache-2.0
//
// Codes of activations; numerics.md section 1.

#pragma once

#include <cstdint>

#include "backends/npu_sim/function/linear/weight.hpp"
#include "tessera/ops.h"

namespace tessera::npu {

// clamp(rne(x_times_inv) + zero_point, lo, hi); NaN gives the zero point.
int32_t round_to_code(float x_times_inv, int32_t zero_point, int32_t lo,
                      int32_t hi);

// Dynamic codes of one row, or of one head; returns the scale.  A row with NaN
// or infinity: codes 0, scale NaN.
float quantize_dynamic(const float* x, int64_t count, int32_t max_code,
                       int16_t* out_codes);

// E4M3 codes of one row, the largest magnitude 448; otherwise as
// quantize_dynamic.
float quantize_f8(const float* x, int64_t count, uint8_t* out_codes);

// Static codes minus their zero point; returns the scale.
float quantize_static(const float* x, int64_t count,
                      const StaticActivation& activation, int32_t lo,
                      int16_t* out_codes);

}  // namespace tessera::npu
