// SPDX-License-Identifier: Apache-2.0
//
// Times what a plan would use and devices only estimated so far.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>

#include "framework/base/status.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/tuning/plan/kept_costs.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/problem_costs.hpp"
#include "framework/tuning/plan/timed_costs.hpp"

namespace tessera {

// What it is made from outlives it.
class CostRefiner {
 public:
  CostRefiner(const ProbedClasses& classes, CostProbe& probe)
      : classes_(classes), probe_(probe), kept_(classes, probe) {}

  KeptCosts& kept() { return kept_; }

  // Takes down what is in the problem for a place, if that was timed.
  void note(const CostPlace& place, const SegmentCost& cost);

  // As those of ProblemMaker.
  Result<uint32_t> measure_used(const planner::Assignment& assignment,
                                const std::function<bool()>& is_late,
                                planner::Problem& problem);
  Result<uint32_t> measure_close(const planner::Assignment& assignment,
                                 const std::function<bool()>& is_late,
                                 planner::Problem& problem);
  Status measure_rest(const std::function<bool()>& is_late,
                      planner::Problem& problem);
  Status measure_again(const planner::Assignment& assignment,
                       planner::Problem& problem);
  Status measure_anew(const planner::Assignment& assignment,
                      const std::array<double, 2>& ratio,
                      planner::Problem& problem);

 private:
  std::set<CostPlace> used_untimed(const planner::Assignment& assignment,
                                   const planner::Problem& problem) const;
  std::set<CostPlace> timed_with(const planner::Assignment& assignment,
                                 const planner::Problem& problem) const;
  std::set<Placement> close_to(const planner::Assignment& assignment,
                               const planner::Problem& problem) const;
  bool counts_now(const CostPlace& place,
                  const planner::Problem& problem) const;
  Status take_anew(const std::set<CostPlace>& places,
                   planner::Problem& problem);
  Result<uint32_t> take_places(const std::set<CostPlace>& places,
                               const std::function<bool()>& is_late,
                               planner::Problem& problem);
  Status take_times(const CostPlace& place, planner::Problem& problem);
  Status take_singly(const CostPlace& place, planner::Problem& problem);

  const ProbedClasses classes_;
  CostProbe& probe_;
  KeptCosts kept_;
  TimedCosts timed_;
  std::set<Placement> told_apart_;  // in one go
  uint32_t num_goes_ = 0;
};

}  // namespace tessera
