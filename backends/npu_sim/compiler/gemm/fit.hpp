// SPDX-License-Identifier: Apache-2.0
//
// Whether a tiling fits the memories of a core.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// The largest multiple of `unit` that is at most `most`; at least one unit.
inline int64_t round_down(int64_t most, int64_t unit) {
  return std::max(unit, most / unit * unit);
}

// Chooses along K for a tile, whatever is still 0.
void choose_depth(const Profile& profile, const GemmPlan& plan,
                  GemmTiling& tiling);

// Which memory the tiling of `plan` does not fit; empty if it fits all.
std::string misfit(const Profile& profile, const GemmPlan& plan);

}  // namespace tessera::npu
