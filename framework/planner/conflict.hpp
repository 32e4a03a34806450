// SPDX-License-Identifier: Apache-2.0
//
// Why no plan keeps the limits: what clashes, and by how much.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

// Limits and rules that cannot all hold, and of which any one could be left out
// for the rest to hold.
struct Conflict {
  struct Limit {
    uint32_t row = 0;    // of the chain
    double least = 0.0;  // no plan that keeps the others needs less
  };
  std::vector<Limit> limits;
  std::vector<uint32_t> rules;  // of the problem
};

// limits  of each proof: what they leave open stays in the conflict
//
// Requires  `built` is of `problem`, and no choice keeps all of its limits
// Errors    those of build_chain()
Result<Conflict> find_conflict(const Problem& problem, const BuiltChain& built,
                               const SolveLimits& limits);

// One line.
std::string conflict_text(const Problem& problem, const BuiltChain& built,
                          const Conflict& conflict);

}  // namespace tessera::planner
