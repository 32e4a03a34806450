// SPDX-License-Identifier: Apache-2.0
//
// What a plan would be predicted to take at the speed that the machine has
// while it is run.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/cli/plan/plan_race.hpp"

namespace tessera::cli {

// Machines that are shared with others change their speed between the timing
// that a plan is made from and its runs.  Timing the same segments anew beside
// the runs, or the steps of a plan over several devices, tells that apart from
// what the prediction gets wrong.
//
// What it is made from outlives it.
class TimedAgain {
 public:
  TimedAgain(const PlanInputs& inputs, const planner::Problem& problem)
      : inputs_(inputs), problem_(problem) {}

  // Times what the plan uses, and predicts with that.
  //
  // Errors  those of the devices and of the model
  Status add(const Contender& plan);

  // By how much the means of these predictions are off what runs took.
  //
  // Requires  one add() or more, and runs of the plan
  std::string text(const Contender& plan) const;

 private:
  const PlanInputs& inputs_;
  const planner::Problem& problem_;
  std::vector<double> prefill_ns_;
  std::vector<double> decode_ns_;
};

}  // namespace tessera::cli
