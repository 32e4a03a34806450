// SPDX-License-Identifier: Apache-2.0
//
// A planned product as a stream.

#pragma once

#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

Stream lower_gemm(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
