// SPDX-License-Identifier: Apache-2.0
//
// Solves a chain: a plan, and a proof of how far from the best it can be.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Counts, never seconds, so that the same chain gives the same plan everywhere.
struct SolveLimits {
  uint32_t root_steps = 400;  // of raising prices before the first branch
  uint32_t node_steps = 30;   // in each branch
  uint32_t max_nodes = 20000;
  uint64_t max_work = 160'000'000;  // options priced, all branches together
  double gap = 0.0;  // small enough to stop: (objective - bound) / objective
  // Once so many options were priced, a gap of `late_gap` is small enough too.
  uint64_t late_work = 0;
  double late_gap = 0.0;
  // Chains with fewer options get more care, for it costs little there.
  size_t small_chain = 5000;
  // Whether an integer program may try what branching leaves open; it costs
  // seconds.
  bool integer_program = true;
  // Called with the objective of the first plan that keeps the limits; changes
  // nothing.
  std::function<void(double)> on_first_plan;
};

// Of one who waits for the plan: `gap`, or after a second or two what timing
// can just tell.
inline SolveLimits interactive_limits(double gap) {
  SolveLimits limits;
  limits.gap = gap;
  limits.late_gap = 0.005;
  limits.late_work = 20'000'000;
  return limits;
}

struct Solution {
  bool feasible = false;    // `choice` keeps all limits
  bool infeasible = false;  // no choice does, and that is proven
  Choice choice;
  double objective = kInfinity;
  // No choice within the limits has a smaller objective.
  double bound = -kInfinity;
  std::vector<double> prices;  // by row: what one unit more would save
  uint32_t steps = 0;          // shortest paths
  uint32_t nodes = 0;          // branches

  // (objective - bound) / objective; 0 where the objective is 0.
  double gap() const;
};

// `start` is a plan to begin with, or null.  Sums of doubles carry rounding: a
// bound within 1e-9 of an objective counts as reached.
//
// Source  Lagrangian relaxation with branch and bound: Fisher, Management
//         Science 27(1), 1981
Solution solve_chain(const Chain& chain, const SolveLimits& limits,
                     const Choice* start = nullptr);

}  // namespace tessera::planner
