// SPDX-License-Identifier: Apache-2.0
//
// How deep the packets are that go to L1.  Those that fill it are fewest, but
// where DRAM is what cores wait for, shallow ones leave it idle less often and
// results in L2 sooner; no formula here tells which is better.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// fastest_plan(), of packets as deep as L1 allows and of shallow ones.
//
// Errors  as plan_gemm
GemmPlan fastest_depth(const Profile& profile, const Gemm& gemm,
                       const std::vector<int64_t>& rows,
                       const SimulateOptions& options);

}  // namespace tessera::npu
