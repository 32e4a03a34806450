// SPDX-License-Identifier: Apache-2.0
//
// What the vector cores do before a product as a whole.

#pragma once

#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/pass.hpp"

namespace tessera::npu {

// All cores wait for all between these and the tiles.
std::vector<Pass> passes_before(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
