// SPDX-License-Identifier: Apache-2.0
//
// What segments were timed to take, now or earlier, and how it goes into a
// problem: the same times give the same problem, however they were come by.

#pragma once

#include <cstdint>
#include <map>

#include "framework/planner/problem/problem.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/problem_costs.hpp"

namespace tessera {

class TimedCosts {
 public:
  // Takes down what a place takes, unless that is only estimated; the last
  // time counts.
  void note(const CostPlace& place, const SegmentCost& cost);

  // What was kept of a device holds no longer.
  void forget_kept(uint32_t device);

  // Nothing holds.
  void forget_all() { costs_.clear(); }

  // Puts all that a segment class was timed to take on a device into the
  // problem: its other ops at the least that they took beside any scheme, the
  // linears beside that.
  //
  // index  of the segment class
  void put(uint32_t index, uint32_t device, const ProbedClasses& classes,
           planner::Problem& problem) const;

 private:
  std::map<CostPlace, SegmentCost> costs_;
};

}  // namespace tessera
