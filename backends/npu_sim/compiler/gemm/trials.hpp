// SPDX-License-Identifier: Apache-2.0
//
// The cost model is some per cent off, and tilings often lie closer than that:
// the machine decides between those that promise most.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// The plan that is the fastest on the machine, of those that promise most by
// the cost model.  Shapes that pad to the same whole fractals have the same
// plans to choose from: one that lies off the alignment of memory cannot be
// faster for a tiling that the aligned shape was not offered.
//
// Errors  as plan_gemm
GemmPlan fastest_plan(const Profile& profile, const Gemm& gemm,
                      const std::vector<int64_t>& rows,
                      const SimulateOptions& options);

}  // namespace tessera::npu
