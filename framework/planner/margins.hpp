// SPDX-License-Identifier: Apache-2.0
//
// How sure a plan is of each choice: the next best one, and what it would cost.

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

struct Margin {
  std::optional<double> margin;  // by which the objective grows
  std::string second;            // "cpu w8a8_dynamic"
  std::string reason;
};

// By item of the chain.  Of linears, with nothing else changed; of segments, a
// bound with all else chosen anew.
std::vector<Margin> find_margins(const Problem& problem,
                                 const BuiltChain& built,
                                 const Solution& solution);

}  // namespace tessera::planner
