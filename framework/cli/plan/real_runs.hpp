// SPDX-License-Identifier: Apache-2.0
//
// The plan and the baselines' run for real: what they take beside what was
// predicted, and beside each other.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/cli/plan/faster_plan.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/cli/plan/plan_race.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// OK unless options ask for runs that cannot be.
// Errors: FAILED_PRECONDITION without a model or with simulated devices.
Status check_runs(const PlanCommandOptions& options, const PlanInputs& inputs);

// Runs the plan, and with options.compare_baselines the baselines' plans in
// turns with it; baselines that come to one plan are run as one.  What the plan
// uses is timed anew before and after that.
//
// limits    of solving for baselines
// Requires  check_runs()
// Returns   a table of predicted and measured times, and the baseline that is
//           fastest of those that are faster
// Errors    those of the sessions
Result<RaceReport> run_for_real(const PlanCommandOptions& options,
                                const PlanInputs& inputs,
                                const planner::Problem& problem,
                                const planner::MadePlan& made,
                                const planner::SolveLimits& limits,
                                PlanRace& race);

}  // namespace tessera::cli
