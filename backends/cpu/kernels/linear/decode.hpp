// SPDX-License-Identifier: Apache-2.0
//
// Any weight, row by row, as numbers: the codec behind the kernels that know no
// layout.

#pragma once

#include <cstdint>

#include "backends/cpu/kernels/linear/weight.hpp"

namespace tessera::cpu {

// Columns per call of decode_row begin at multiples of this, a multiple of all
// GGUF blocks.
inline constexpr int64_t kDecodeColumns = 256;

// W[n, k_begin .. k_end - 1], each rounded once to f32.
//
// Requires  weight.shape.layout is kRaw; k_begin a multiple of kDecodeColumns,
//           k_end - k_begin <= kDecodeColumns
void decode_row(const LinearWeight& weight, int64_t n, int64_t k_begin,
                int64_t k_end, float* out);

// True if the weight's codes are integers with a scale: what an integer
// act_quant multiplies.
bool has_integers(const LinearWeight& weight);

// No |code - zero point| is larger.
int32_t max_integer(const WeightShape& shape);

// code - zero point of W[n, k_begin .. k_end - 1], for any layout.
//
// Requires  has_integers(weight)
void integer_row(const LinearWeight& weight, int64_t n, int64_t k_begin,
                 int64_t k_end, int16_t* out);

// S of row n, column k, and SCALE2 of row n (1 if there is none).
float weight_scale(const LinearWeight& weight, int64_t n, int64_t k);
float weight_scale2(const LinearWeight& weight, int64_t n);

}  // namespace tessera::cpu
