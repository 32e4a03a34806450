// SPDX-License-Identifier: Apache-2.0
//
// One linear op with its operands, and what must come of it.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "framework/conformance/kit/trial/op_run.hpp"
#include "framework/conformance/kit/trial/weight_samples.hpp"
#include "tessera/plugin.h"

namespace tessera::conformance {

// What x of a linear holds.
enum class LinearValues {
  kNormal,
  kExtreme,  // rows of zeros, of tiny values, and far outside static ranges
  kTies,     // codes that lie half way between two
  kNan       // one row has a NaN
};

struct LinearSpec {
  WeightKind weight;
  uint32_t M = 5;
  uint32_t max_m = 5;  // of the program
  uint32_t N = 17;
  uint32_t K = 96;
  uint32_t x_dtype = TSR_F32;
  uint32_t y_dtype = TSR_F32;
  uint32_t act_quant = TSR_ACT_FLOAT;
  uint32_t activation = TSR_EPILOGUE_NONE;
  uint32_t fused = 0;  // mask of TSR_FUSES_*
  uint32_t accumulator = TSR_F32;
  uint32_t num_decode_tokens = 0;
  bool strided = false;
  bool portable = false;
  bool has_fixed_pipe = false;  // of the device that will run it
  LinearValues values = LinearValues::kNormal;
  uint32_t seed = 42;

  uint32_t n_begin() const {
    return (fused & TSR_FUSES_N_RANGE) != 0 ? N / 4 / 16 * 16 : 0;
  }
  uint32_t n_end() const {
    return (fused & TSR_FUSES_N_RANGE) != 0 ? std::max(n_begin() + 1, N - N / 4)
                                            : N;
  }
  std::string text() const;
};

// Makes the setup from the spec's seed.  `row` is the kernel that will run it,
// whose error class bounds the expectation; null: there is none.
//
// Errors  what no device could run
Result<OpTrial> make_linear(const LinearSpec& spec, const tsr_kernel_desc* row);

}  // namespace tessera::conformance
