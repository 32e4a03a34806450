// SPDX-License-Identifier: Apache-2.0
//
// What a plan's own steps take beyond what its segments do.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/assignment.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera {

// What it is made from outlives it.  One thread at a time.
class StepCosts {
 public:
  StepCosts(CostProbe& probe, const ProblemInputs& inputs)
      : probe_(probe), inputs_(inputs), segments_(cut_segments(inputs.graph)) {}

  // Times the steps of a plan that goes from device to device, or takes what
  // steps through the same devices were found to lose before, and puts what
  // their segments do not explain where they change device, in place of what
  // pairs of devices lose by themselves.  Where a device was entered from the
  // same one in other steps, the dearest counts.
  //
  // Requires  all that the plan uses is timed
  // Returns   whether `problem` was changed: not for plans on one device, on
  //           simulated ones or with divided linears, and once for each order
  //           of devices
  // Errors    those of the store
  Result<bool> refine(const planner::Assignment& assignment,
                      planner::Problem& problem);

  // What steps of a plan that goes from device to device take just now, of what
  // the problem says of them, by phase: segments and losses alike.
  //
  // Returns  nothing for plans that refine() leaves alone, or that do not run
  //          as a whole
  std::optional<std::array<double, 2>> pace_of(
      const planner::Assignment& assignment, const planner::Problem& problem);

  // After transfers were filled anew.
  void forget();

 private:
  using Order = std::vector<uint32_t>;  // devices
  // Device that is left, one that is entered, phase, whether it begins a step.
  using Change = std::tuple<uint32_t, uint32_t, uint32_t, bool>;

  // Segments in a row on one device.
  struct Run {
    uint32_t device = 0;
    double ns = 0.0;  // of its segments in a step
  };

  std::vector<Run> runs_of(const planner::Assignment& assignment,
                           uint32_t phase,
                           const planner::Problem& problem) const;
  struct Losses {
    std::vector<double> ns;  // by run
    bool holds = false;      // on another day too
  };

  static Losses losses_of(const std::vector<Run>& runs, const StageTimes& times,
                          uint32_t phase);
  Result<std::optional<std::vector<double>>> find_losses(
      const std::vector<Run>& runs, uint32_t phase,
      const planner::Assignment& assignment, const planner::Problem& problem,
      std::optional<Result<StageTimes>>& times);
  bool goes_by_wall(const std::vector<Run>& runs,
                    const planner::Problem& problem) const;
  double step_ns(const std::vector<Run>& runs, uint32_t phase,
                 const planner::Problem& problem) const;
  DeviceList devices_of(const std::vector<Run>& runs) const;
  Result<StageTimes> time_plan(const planner::Assignment& assignment,
                               const planner::Problem& problem);
  void take_losses(const std::vector<Run>& runs, uint32_t phase,
                   const std::vector<double>& losses,
                   planner::Problem& problem);
  void take_change(const Change& change, double ns, planner::Problem& problem);

  CostProbe& probe_;
  const ProblemInputs& inputs_;
  std::vector<GraphSegment> segments_;
  std::set<std::pair<uint32_t, Order>> known_;  // by phase
  std::set<Change> changes_;                    // that steps were timed for
};

}  // namespace tessera
