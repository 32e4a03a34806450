// SPDX-License-Identifier: Apache-2.0
//
// LINEAR as a simulated chip computes it.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/function/fixpipe.hpp"
#include "backends/npu_sim/function/linear/weight.hpp"
#include "backends/npu_sim/function/parallel.hpp"
#include "backends/npu_sim/function/rows.hpp"
#include "tessera/ops.h"

namespace tessera::npu {

struct Linear {
  int64_t M = 0;
  ConstRows x;
  Rows y;  // I32: raw accumulators
  int64_t n_begin = 0;
  int64_t n_end = 0;
  uint32_t act_quant = TSR_ACT_FLOAT;
  int64_t num_decode_rows = 0;  // I8_MIX: the first so many are decode
  const float* bias = nullptr;
  uint32_t activation = TSR_EPILOGUE_NONE;
  ConstRows multiplier;  // data is null if absent, like the next
  ConstRows residual;
  bool accumulate = false;
  // Floats: each so many of K are summed for themselves, as cores that share a
  // tile do, and the sums added in ascending k.  0: one sum.
  int64_t k_share = 0;
};

// How results leave the accumulators of the chip.
struct AccumulatorPath {
  bool fixpipe = false;
  Numerics numerics = Numerics::kRef;
};

// Memory between calls, so that a step of the same shape allocates nothing.
struct LinearScratch {
  std::vector<float> rows;     // [M, K]: inputs as the cube sees them
  std::vector<int16_t> codes;  // [M, K]
  std::vector<float> scales;   // [M], of codes
};

// Float products: x rounded to the weight's type, sums in f32 in ascending k
// with exact products, of each share of K, then scales of F8 and the epilogue.
//
// Errors   throws sdk::Error INVALID_ARGUMENT for a column range outside N, raw
//          integer accumulators, or F8 on one side alone
void linear(const HalfWeight& weight, const Linear& op, LinearScratch& scratch,
            const Parallel& parallel);

// Integer products: numerics.md section 1 bit for bit, with one exception.
// Where the chip has a fixed pipe, its numerics are kHw, a row has static
// codes and y is F32 or F16, the accumulator of a per-channel weight leaves
// through DEQF16, that is with a cut scale and rounded to f16 before the
// epilogue.  (Scales found at run time are a row's, which the fixed pipe does
// not have; BF16 results take the vector unit, whose scale is whole.)
//
// Errors   INVALID_ARGUMENT as above, for static codes without their planes, a
//          zero point that is no code, or a K whose sums could overflow
void linear(const IntegerWeight& weight, const Linear& op,
            const AccumulatorPath& path, LinearScratch& scratch,
            const Parallel& parallel);

}  // namespace tessera::npu
