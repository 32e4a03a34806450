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
  Tensor input = Tensor::kInput;  // further inputs: kOther, kOther + ...
  Tensor output = Tensor::kOutput;
  int64_t in_bits = 16;   // of an element of each input
  int64_t out_bits = 16;  // 0: nothing is written
  // Vector instructions over every element, each at its rate.
  double passes = 1;
  double elements_per_cycle = 128;
  bool conflicts = false;
  int64_t row_elements = 0;  // 0: no row structure
  VectorFunction function = VectorFunction::kNone;
  double special_passes = 0;  // further ones, at the rate of exp
};

// Elements that one step of a core moves through UB.
int64_t pass_chunk(const Profile& profile, const Pass& pass, int64_t num_lanes);

// The share of lane `lane` of `num_lanes`, two buffers deep.  Leaves all flags
// as it found them.
void emit_pass(const Profile& profile, const Pass& pass, int64_t lane,
               int64_t num_lanes, Emitter& emit);

// A transfer that every one of `cores` repeats, with nothing else to wait for.
struct CopyLoop {
  int64_t cores = 0;
  int64_t count = 0;       // of each core and visit
  int64_t repeats = 0;     // visits of the same data
  double total_bytes = 0;  // of one visit, all cores
};
double streamed_copy_cycles(const Profile& profile, const Instruction& copy,
                            const CopyLoop& loop);

// Its time on one of that many lanes, by formula.
double pass_cycles(const Profile& profile, const Pass& pass, int64_t num_lanes);

}  // namespace tessera::npu
