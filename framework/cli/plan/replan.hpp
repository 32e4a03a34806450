// SPDX-License-Identifier: Apache-2.0
//
// The plan that was asked for, and another one where the machine has changed
// before it is run.

#pragma once

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// Whether plans are held to a measured KL.
bool verifies(const PlanCommandOptions& options, const PlanInputs& inputs);

// The best plan of inputs.problem; where there is a limit to KL, one that
// keeps it as measured (plan_and_verify(), which lowers inputs.problem's).
//
// Errors  those of planning
Result<planner::MadePlan> plan_as_asked(const PlanCommandOptions& options,
                                        const planner::PlanOptions& planning,
                                        PlanInputs& inputs);

// Times the plan's parts anew just before it is run.  Where that predicts
// something else than it was chosen by, twice alike, what competes with it is
// timed anew as well and another plan is made: a machine that is shared has
// more than one speed, and they favour different precisions.  Of a plan over
// several devices its own steps are timed instead, and all costs change by as
// much.  Twice at most, each time within options.profile_seconds; says so in a
// line.  Not for plans with divided linears or simulated devices.
//
// problem   what `made` is a plan of; its costs are those of `made` again
// Returns   whether `made` is another one
// Requires  wall-clock devices and a model (check_runs())
// Errors    those of planning and of timing
Result<bool> replan_for_runs(const PlanCommandOptions& options,
                             const planner::PlanOptions& planning,
                             PlanInputs& inputs, planner::Problem& problem,
                             planner::MadePlan& made);

}  // namespace tessera::cli
