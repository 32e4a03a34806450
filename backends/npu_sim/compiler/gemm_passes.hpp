// SPDX-License-Identifier: Apache-2.0
//
// What the vector cores do before and after a product as a whole.

#pragma once

#include <vector>

#include "backends/npu_sim/compiler/gemm_plan.hpp"
#include "backends/npu_sim/compiler/pass.hpp"

namespace tessera::npu {

// All cores wait for all between `before`, the tiles and `after`.
struct GemmPasses {
  std::vector<Pass> before;
  std::vector<Pass> after;
};

GemmPasses passes_of(const GemmPlan& plan);

}  // namespace tessera::npu
