// SPDX-License-Identifier: Apache-2.0
//
// Attention over a cache that the cube reads as it is stored, by formula.

#pragma once

#include "backends/npu_sim/compiler/attention/plan.hpp"

namespace tessera::npu {

// Of the whole launch; needs no `work`.
//
// Requires  plan.is_plain()
double pipeline_cycles(const Profile& profile, const AttentionPlan& plan);

}  // namespace tessera::npu
