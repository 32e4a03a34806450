// SPDX-License-Identifier: Apache-2.0
//
// Whether times that are kept from earlier still hold.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/problem_costs.hpp"

namespace tessera {

// What it is made from outlives it.
class KeptCosts {
 public:
  KeptCosts(const ProbedClasses& classes, CostProbe& probe)
      : classes_(classes), probe_(probe) {}

  // Takes down what is in the problem for a place, if that was kept.
  void note(const CostPlace& place, const SegmentCost& cost);

  // Of each device not yet checked whose times were kept: the schemes that
  // carry most of the plan's time there, or of a device that the plan does not
  // use its fastest one.  They tell whether the rest still holds.
  std::set<CostPlace> choose_sentinels(const planner::Assignment& assignment,
                                       const planner::Problem& problem) const;

  // Holds what sentinels took just now, those that the probe has timed, against
  // what was kept.  Where they lie apart, all that is kept of the device is
  // scaled by as much and is no longer believed.
  //
  // Returns  the devices that have drifted
  // Errors   those of CostProbe::timed_cost()
  Result<std::set<uint32_t>> check(const std::set<CostPlace>& sentinels,
                                   planner::Problem& problem);

  // Its sentinels tell nothing: it is not looked at again.
  void pass(uint32_t device) { checked_.insert(device); }

  // What check() found so far.
  std::vector<CostDrift> drifts(const planner::Problem& problem) const;

 private:
  using KeptTimes = std::array<SpreadTime, 2>;      // by phase
  using KeptKinds = std::map<uint32_t, KeptTimes>;  // by segment class

  struct Check {
    KeptTimes before{};
    KeptTimes now{};
    bool drifted = false;
  };

  uint32_t count_stale(uint32_t device, const planner::Problem& problem) const;
  CostPlace least_kept(uint32_t device) const;
  Result<Check> check_sentinel(const CostPlace& sentinel);

  const ProbedClasses classes_;
  CostProbe& probe_;
  std::map<Placement, KeptKinds> kept_;
  std::set<uint32_t> checked_;            // devices whose sentinels were timed
  std::map<uint32_t, CostDrift> drifts_;  // by device
};

}  // namespace tessera
