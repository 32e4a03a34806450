// SPDX-License-Identifier: Apache-2.0
//
// Split sums brought together, and what follows a product.

#pragma once

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"

namespace tessera::npu {

// The share of lane `lane` of `num_lanes`, after the partial sums are in GM.
// Leaves all flags as it found them.
void emit_reduce(const GemmContext& context, int64_t lane, int64_t num_lanes,
                 Emitter& out);

// Its time by formula; 0 if sums are not split.
double reduce_cycles(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
