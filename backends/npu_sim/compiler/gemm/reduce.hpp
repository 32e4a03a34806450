// SPDX-License-Identifier: Apache-2.0
//
// Split sums brought together, and what follows a product.

#pragma once

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"

namespace tessera::npu {

// The share of lane `lane` of `num_lanes` of a slice's columns, after the
// partial sums are in GM.  Leaves all flags as it found them.
void emit_reduce(const GemmContext& context, const WeightSlice& slice,
                 int64_t lane, int64_t num_lanes, Emitter& out);

// Its time by formula; 0 if sums are not split.
double reduce_cycles(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
