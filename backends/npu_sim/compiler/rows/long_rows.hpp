// SPDX-License-Identifier: Apache-2.0
//
// Norms and softmax of rows that UB does not hold: a core takes a row in parts,
// once for each sum or maximum that the next visit needs, and once more for the
// results.  One core does a whole row, for the order of its sums is part of
// what the op promises.

#pragma once

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// The rows of lane `lane` of `num_lanes`.
//
// Requires  op.kind is kRmsNorm, kLayerNorm or kSoftmax
void emit_long_rows(const Profile& profile, const SmallOp& op, int64_t lane,
                    int64_t num_lanes, Emitter& emit);

// Its time by formula.
double long_row_cycles(const Profile& profile, const SmallOp& op,
                       int64_t num_lanes);

}  // namespace tessera::npu
