// SPDX-License-Identifier: Apache-2.0
//
// Plans run for real: what they take beside what was predicted, and beside
// other plans.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// OK unless options ask for runs that cannot be.
// Errors: FAILED_PRECONDITION without a model or with simulated devices.
Status check_runs(const PlanCommandOptions& options, const PlanInputs& inputs);

// Runs the plan, and with options.compare_baselines the baselines' plans in
// turns with it.
//
// limits    of solving for baselines
// Requires  check_runs()
// Returns   a table of predicted and measured times
// Errors    those of the sessions
Result<std::string> run_for_real(const PlanCommandOptions& options,
                                 const PlanInputs& inputs,
                                 const planner::Problem& problem,
                                 const planner::MadePlan& made,
                                 const planner::SolveLimits& limits);

// Runs options.challenge random plans, twice as many that are one step away,
// all uniform plans and all baselines, each in turns with the plan; then the
// fastest again, longer.
//
// Requires  check_runs()
// Returns   how far the plan is from the best of them
// Errors    as run_for_real()
Result<std::string> challenge_plan(const PlanCommandOptions& options,
                                   const PlanInputs& inputs,
                                   const planner::Problem& problem,
                                   const planner::MadePlan& made,
                                   const planner::SolveLimits& limits);

}  // namespace tessera::cli
