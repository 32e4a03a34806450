// SPDX-License-Identifier: Apache-2.0
//
// LINEAR: Y[M, N] = epilogue(X[M, K] . W[N, K]^T), for every weight format and
// every way to read activations.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"
#include "framework/conformance/reference/linear/epilogue.hpp"
#include "framework/conformance/reference/linear/weight.hpp"
#include "framework/conformance/reference/sum_order.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

struct Linear {
  const Weight* weight = nullptr;
  uint32_t M = 0;
  const float* x = nullptr;  // [M, K]
  uint32_t n_begin = 0;
  uint32_t n_end = 0;  // 0: N
  uint32_t act_quant = TSR_ACT_FLOAT;
  uint32_t num_decode_tokens = 0;  // I8_MIX: the first so many are decode
  Epilogue epilogue;
  // Over k; of FLOAT, F8_DYNAMIC and Q8.
  SumOrder sum_order = SumOrder::kDouble;
  // FLOAT: what x and the weights are rounded to before they are multiplied:
  // F32 (as they are), or F16 or BF16, as of a unit that multiplies 16-bit
  // floats.
  uint32_t factor_dtype = TSR_F32;

  uint32_t num_columns() const {
    return (n_end == 0 ? weight->N() : n_end) - n_begin;
  }
};

// The errors below, without the work.
Status check_linear(const Linear& p);

// Computes y for any act_quant.
//
//   FLOAT, F8_DYNAMIC, Q8   products, sums and epilogue in double (or as
//                           sum_order says), rounded once to Out.  F8 and Q8
//                           quantize x first, exactly as kernels must
//   I8_*, U8_STATIC, I4     numerics.md section 1 bit for bit: every y is an
//                           f32, whatever Out is; its rounding to a 16-bit type
//                           is the caller's
//
// Shapes  x [M, K]; y [M, n_end - n_begin], dense
// Types   Out is float or double
// Errors  INVALID_ARGUMENT if the range, the act_quant, the epilogue and the
//         weight's format do not go together, or an I32 sum could overflow
// Source  numerics.md section 1
template <typename Out>
Status linear(const Linear& p, Out* y);

// The raw sums, TSR_LINEAR_PARTIAL: in integer modes acc[m, n] = sum over k of
// (q - zero_point) * w, without QUANT_BIAS.
//
// Errors  as linear; INVALID_ARGUMENT for a float mode, an epilogue, or a
//         weight with several scales a row
Status linear_accumulators(const Linear& p, int32_t* acc);

// out[m, n] = sum over k of |x[m, k]| * |w[n, k]|, with x and w as the float
// modes multiply them: what error bounds scale with.
Status linear_magnitudes(const Linear& p, double* out);

}  // namespace tessera::reference
