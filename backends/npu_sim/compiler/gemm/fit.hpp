// SPDX-License-Identifier: Apache-2.0
//
// Whether a tiling fits the memories of a core.

#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "backends/npu_sim/compiler/gemm/layout.hpp"
#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// The largest multiple of `unit` that is at most `most`; at least one unit.
inline int64_t round_down(int64_t most, int64_t unit) {
  return std::max(unit, most / unit * unit);
}

// Chooses along K for a tile, whatever is still 0.
void choose_depth(const Profile& profile, const GemmPlan& plan,
                  GemmTiling& tiling);

// A memory of a core that a plan asks too much of.
struct Misfit {
  const char* memory;
  int64_t needed_bytes;
  int64_t bytes;
};
// The first that `layout` does not fit; empty if it fits all.
std::optional<Misfit> misfit(const Profile& profile, const GemmLayout& layout);

}  // namespace tessera::npu
