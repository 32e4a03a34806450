// SPDX-License-Identifier: Apache-2.0
//
// How far a correct kernel may lie from the oracle: the error classes of
// tessera/plugin.h (TSR_ERROR_*) as numbers, from formulas with a source.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/attention/attention.hpp"
#include "framework/conformance/reference/linear/linear.hpp"
#include "tessera/plugin.h"

namespace tessera::reference {

// Half a unit in the last place, relative: 2^-24 (F32), 2^-11 (F16), 2^-8
// (BF16).
double unit_roundoff(uint32_t dtype);

// The spacing of `dtype` (F32, F16 or BF16) at |value|, subnormals included.
double ulp(double value, uint32_t dtype);

// gamma_n = n u / (1 - n u), u = 2^-24: n roundings to f32 change a result by
// a factor in 1 +- gamma_n.
// Requires: n < 2^24
// Source:   Higham, Accuracy and Stability, 2nd ed., section 3.1
double gamma(size_t n);

// TSR_ERROR_FLOAT: 8 units in the last place of the output.  Where terms may
// cancel (rope, layer_norm, add), `magnitude` is that of the largest term.
double float_bound(double value, uint32_t dtype, double magnitude = 0.0);

// What kernels are allowed besides the sum over K.
struct BoundClass {
  uint32_t error_class = TSR_ERROR_DOT;  // EXACT, DOT or HALF_PRODUCTS
  uint32_t out_dtype = TSR_F32;          // of y or out
  uint32_t half_dtype = TSR_BF16;        // HALF_PRODUCTS: what is rounded to
};

// For each y[m, n]: the largest |y - oracle| of a kernel of that class.
//
//   sum        gamma_(K + e) * sum of |x| |w|; e = 2 for formats with scales,
//              which may be applied to a weight or a sum; HALF_PRODUCTS adds
//              (1 + u16)^2 - 1 for two rounded factors
//   epilogue   each step rounds once; the functions are off by 8 units in the
//              last place and have slopes of at most 1.13
//   output     one rounding to out_dtype
//
// EXACT is 0, save for that one rounding.
//
// Shapes  out_bound [M, n_end - n_begin]
// Errors  as linear
// Source  Higham, section 3.1, eq. 3.4 (dot product in any order)
Status linear_bound(const Linear& p, const BoundClass& bound_class,
                    double* out_bound);

// For each out[token, head, i]: the largest |out - oracle| of a float kernel
// of that class.
//
//   scores     E = gamma_(D + 2) * scale * sum of |q| |k|, largest of the row;
//              HALF_PRODUCTS adds (1 + u16)^2 - 1
//   weights    each is off by a factor within 1 +- eta, eta = exp(E + u d) - 1
//              + gamma_8 for exp, d the largest distance from the maximum, at
//              most 104 (where exp is 0 in f32); HALF_PRODUCTS adds u16
//   sums       gamma_(2 n + 8) for n keys: a product and a sum per key, or
//              their rescaling in a streaming pass, and one division
//
// In all (2 eta + ...) * sum of p |v|, and one rounding to out_dtype.
//
// Shapes  out_bound as out
// Errors  as attention
Status attention_bound(const Attention& p, const KvPool& pool,
                       const BoundClass& bound_class, double* out_bound);

}  // namespace tessera::reference
