// SPDX-License-Identifier: Apache-2.0
//
// What the vector cores do before a product, or a slice of it.

#pragma once

#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"
#include "backends/npu_sim/compiler/pass.hpp"

namespace tessera::npu {

// Codes of all rows; of plans that quantize their input.
Pass quantize_pass(const Profile& profile, const GemmPlan& plan);

// All cores wait for all between these and the tiles.
std::vector<Pass> passes_before(const Profile& profile, const GemmPlan& plan,
                                const WeightSlice& slice);

}  // namespace tessera::npu
