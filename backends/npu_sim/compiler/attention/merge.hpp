// SPDX-License-Identifier: Apache-2.0
//
// Split keys brought together: sums with their maxima, in ascending order.

#pragma once

#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"

namespace tessera::npu {

// The share of lane `lane` of `num_lanes`, after the partial sums are in GM.
// Leaves all flags as it found them.
void emit_merge(const Profile& profile, const AttentionPlan& plan, int64_t lane,
                int64_t num_lanes, Emitter& out);

// Its time by formula; 0 if keys are not split.
double merge_cycles(const Profile& profile, const AttentionPlan& plan);

}  // namespace tessera::npu
