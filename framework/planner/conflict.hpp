// SPDX-License-Identifier: Apache-2.0
//
// Why no plan keeps the limits: which of them clash, and by how much.

#pragma once

#include <string>

#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

// One line.  The limits it names cannot hold together, and if any of them is
// left out the rest can, as far as `limits` let that be proven.
//
// Requires  no choice keeps all limits of `built`
std::string explain_conflict(const BuiltChain& built,
                             const SolveLimits& limits);

}  // namespace tessera::planner
