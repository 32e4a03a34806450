// SPDX-License-Identifier: Apache-2.0
//
// A pass of the vector cores over a tensor: in, some instructions, out.

#pragma once

#include <cstdint>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

struct Pass {
  int64_t elements = 0;
  int64_t num_inputs = 1;
  Tensor input = Tensor::kInput;  // further inputs: in kOther, in order
  Tensor output = Tensor::kOutput;
  int64_t first_input = 0;  // of the input tensor, the first element
  Type in = Type::kF16;     // of each input
  Type out = Type::kF16;
  // Vector instructions over every element, each at its rate.
  double passes = 1;
  double elements_per_cycle = 128;
  bool conflicts = false;
  // Elements of the input that share a scale in kGroupScales; 0: the scales are
  // few.
  int64_t scale_group = 0;
  // Rows that a core takes whole; each gives a scale, if that has bits.  0: no
  // rows.
  int64_t row_elements = 0;
  Tensor row_scales = Tensor::kScales;
  int64_t row_scale_bits = 32;
  VectorFunction function = VectorFunction::kNone;
  double special_passes = 0;  // further ones, at the rate of exp
};

// The share of lane `lane` of `num_lanes`, two buffers deep.  Leaves all flags
// as it found them.
void emit_pass(const Profile& profile, const Pass& pass, int64_t lane,
               int64_t num_lanes, Emitter& emit);

// Whether UB holds a row at a time.
bool fits_rows(const Profile& profile, const Pass& pass);

// Its time on one of that many lanes, by formula.
double pass_cycles(const Profile& profile, const Pass& pass, int64_t num_lanes);

}  // namespace tessera::npu
