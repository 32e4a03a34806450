// SPDX-License-Identifier: Apache-2.0
//
// The rows of x as the kernels want them: widened, arranged for the weight's
// columns, and quantized where the op says so.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/linear/linear.hpp"
#include "backends/cpu/kernels/linear/linear_kernel.hpp"

namespace tessera::cpu {

inline bool is_integer_act(uint32_t act_quant) {
  return act_quant != TSR_ACT_FLOAT && act_quant <= TSR_ACT_I4_DYNAMIC;
}

// How row m of `op` is quantized.
// Requires  is_integer_act(op.act_quant); static activations where it is static
RowQuantization quantization_of(const LinearWeight& weight, const Linear& op,
                                int64_t m);

// Where prepared rows go: floats or bf16 for a float act_quant, else codes with
// the scale of each row and the zero point of its codes.  Rows have
// padded_input(K) elements.
struct PreparedInput {
  Input kind = Input::kF32;
  float* values = nullptr;
  uint16_t* pairs = nullptr;    // Input::kBf16
  float* group_sums = nullptr;  // of x, with these: [M, group_sums_stride]
  uint8_t* codes = nullptr;
  float* scales = nullptr;
  int32_t* zeros = nullptr;
};

// Not a multiple of 4 KiB: rows that far apart would share the sets of the L1
// cache, of which a register tile reads several at once.
inline int64_t padded_input(int64_t K) {
  return ((K + kInputPadding - 1) / kInputPadding | 1) * kInputPadding;
}

// Sums of groups of at least eight columns, of one row.
inline int64_t group_sums_stride(int64_t K) { return (K + 7) / 8; }

// Prepares row m.  `scratch` holds 2 * padded_input(K) floats.
void prepare_row(const LinearWeight& weight, const Linear& op, int64_t m,
                 const LinearRowOps& row_ops, float* scratch,
                 const PreparedInput& out);

}  // namespace tessera::cpu
