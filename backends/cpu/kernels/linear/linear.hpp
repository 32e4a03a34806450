// SPDX-License-Identifier: Apache-2.0
//
// The linear op as a function of pointers and shapes, for every weight format
// of types.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels/linear/weight.hpp"
#include "backends/cpu/kernels/ops/ops.hpp"
#include "tessera/ops.h"

namespace tessera::cpu {

struct LinearKernel;

// One linear of one step; the contract is that of tsr_op_linear.
//
// Shapes  x [M, K]; y, multiplier, residual [M, n_end - n_begin]; bias [N]
// Types   x F32, F16 or BF16.  y the same, or I32: the accumulators of an
//         integer act_quant, without QUANT_BIAS or epilogue
struct Linear {
  int64_t M = 0;
  ConstRows x;
  Rows y;
  int64_t n_begin = 0;
  int64_t n_end = 0;                   // 0: N
  uint32_t act_quant = TSR_ACT_FLOAT;  // TSR_ACT_*
  int64_t num_decode_rows = 0;         // I8_MIX: the first so many are static
  const float* bias = nullptr;         // null if absent
  uint32_t activation = TSR_EPILOGUE_NONE;
  ConstRows multiplier;     // data null if absent
  ConstRows residual;       // data null if absent; may be y
  bool accumulate = false;  // y += the sum, and no epilogue
};

// What bounds the workspace of a linear.
struct LinearLimits {
  int64_t max_M = 0;
  int64_t K = 0;
  uint32_t num_threads = 1;
};

// Bytes of workspace that linear() needs for any M <= max_M and any weight with
// that K.
size_t linear_workspace_bytes(const LinearLimits& limits);

struct LinearWorkspace {
  void* data = nullptr;  // aligned to 64 bytes
  size_t bytes = 0;
};

// Computes y.
//
// Integer act_quants give the bits of numerics.md section 1 on every ISA.  Sums
// of the others are in f32, in an order that follows from shapes, formats and
// ISA, never from threads.
//
// Errors   throws Error: INVALID_ARGUMENT if types, shapes, strides or planes
// do
//          not go together, if K could overflow an i32 accumulator, or if the
//          workspace is too small
// Threads  any number of calls at once, each with its own workspace
void linear(const LinearWeight& weight, const Linear& op,
            LinearWorkspace workspace, const Exec& exec);

// The same with the kernels of another table than linear_kernels().
void linear_of_table(std::span<const LinearKernel> table,
                     const LinearWeight& weight, const Linear& op,
                     LinearWorkspace workspace, const Exec& exec);

// The kernel that linear() would run: "linear_f32_q4_0__avx512_few".
const char* linear_kernel_name(const LinearWeight& weight, const Linear& op,
                               const Exec& exec);

// The largest K whose accumulator cannot overflow an i32 under `act_quant`, for
// codes of `shape` and activation zero point `zero_point` (STATIC and MIX).
int64_t max_integer_depth(const WeightShape& shape, uint32_t act_quant,
                          int32_t zero_point);

}  // namespace tessera::cpu
