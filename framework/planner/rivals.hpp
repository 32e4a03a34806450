// SPDX-License-Identifier: Apache-2.0
//
// Other plans within the limits, to hold a plan against by running them.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::planner {

struct Rival {
  std::string kind;    // "uniform", "baseline", "random", "move"
  std::string detail;  // "cpu w8a8_dynamic", "hetero-greedy", "17"
  Assignment assignment;
  Prediction prediction;
};

struct RivalCounts {
  uint32_t random = 100;
  uint32_t moves = 200;
};

// All uniform plans (one device, one scheme) and all baselines that keep the
// limits; plans with a random device for runs of segments and a random scheme
// for each linear; and `chosen` with one step away from it: a linear of low
// margin in another scheme, or a run of segments on another device.  Each is
// there once, and `chosen` not at all; there may be fewer than asked for.
//
// Errors  those of build_chain()
Result<std::vector<Rival>> find_rivals(const Problem& problem,
                                       const MadePlan& chosen,
                                       const RivalCounts& counts,
                                       const SolveLimits& limits);

}  // namespace tessera::planner
