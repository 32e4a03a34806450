// SPDX-License-Identifier: Apache-2.0
//
// Searches for the scale of a few weights that share one: what GGUF encoders
// minimize the squared error by.  Each returns the best of a ladder of scales,
// so results depend on the order of f32 operations and on nothing else.

#pragma once

#include <cstdint>
#include <span>

namespace tessera::format {

// x rounded to nearest, ties to even.
// Requires: |x| < 2^22; else the result is some int.
int32_t round_to_int(float x);

struct ScaleAndMin {
  float scale;
  float min;  // x is about scale * code - min; never negative
};

// The ladder: codes are taken with 1 / scale = (max_code + first + step * i) /
// (max - min), i = 0 .. last, and scale and min are then fitted to them.  The
// min of a rung is that of the best one before it.
struct Ladder {
  float first;
  float step;
  int last;
};

// Codes 0 .. max_code whose scale and min, fitted by weighted least squares,
// err least.
//
// Requires  x, weights and out_codes of one size, at least 1; max_code <= 255
// Source    ggml-quants.c, make_qkx2_quants and make_qkx3_quants
ScaleAndMin search_scale_and_min(std::span<const float> x,
                                 std::span<const float> weights, int max_code,
                                 const Ladder& ladder,
                                 std::span<uint8_t> out_codes);

// A scale for codes -half .. half - 1, stored as code + half, fitted by
// weighted least squares; it has the sign that lets the value of largest
// magnitude be -half; 0, with any codes, if x is zero.  Empty `weights` stand
// for x squared.
//
// Source    ggml-quants.c, make_qx_quants with rmse_type 1
float search_symmetric_scale(std::span<const float> x,
                             std::span<const float> weights, int half,
                             std::span<uint8_t> out_codes);

// A scale for codes 0 .. max_code of x >= 0, refined one code at a time.
//
// Source    ggml-quants.c, make_qp_quants
float search_positive_scale(std::span<const float> x,
                            std::span<const float> weights, int max_code,
                            std::span<uint8_t> out_codes);

}  // namespace tessera::format
