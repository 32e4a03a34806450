// SPDX-License-Identifier: Apache-2.0
//
// What a linear does after its sum over k: numerics.md section 1, "epilogue
// order".

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"
#include "tessera/ops.h"

namespace tessera::reference {

// + bias, activation function, * multiplier, + residual.  TSR_LINEAR_ACCUMULATE
// is a residual of the old y and nothing else.
struct Epilogue {
  const float* bias = nullptr;        // [N]; null if absent, like the next two
  uint32_t activation = 0;            // TSR_EPILOGUE_*
  const float* multiplier = nullptr;  // [M, n_end - n_begin]
  const float* residual = nullptr;    // [M, n_end - n_begin]
};

// Errors  INVALID_ARGUMENT for an unknown activation
Status check_epilogue(const Epilogue& epilogue);

// The epilogue of one element: in double nothing is rounded, in float every
// step is and the activation function is that of tessera/portable_math.h.
//
// Shapes  n indexes bias; y_index multiplier and residual
double apply_epilogue(const Epilogue& epilogue, uint32_t n, size_t y_index,
                      double value);
float apply_epilogue(const Epilogue& epilogue, uint32_t n, size_t y_index,
                     float value);

}  // namespace tessera::reference
