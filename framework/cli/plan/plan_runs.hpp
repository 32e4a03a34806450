// SPDX-License-Identifier: Apache-2.0
//
// Runs a plan beside others, and goes by what they take.

#pragma once

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// Runs what --run and --challenge ask for and prints what that shows, with
// --json on stderr.  Where the objective is latency and another plan is faster
// beyond chance, `made` is that one afterwards, if its measured KL keeps the
// limit too; the challenge is then to that one.  One that the challenge finds
// 3 % faster need not be so beyond chance.
//
// problem   with the limits that were asked
// Requires  check_runs()
// Returns   whether `made` is another plan now
// Errors    those of the sessions, of planning and of scoring
Result<bool> run_plans(const PlanCommandOptions& options,
                       const PlanInputs& inputs,
                       const planner::Problem& problem,
                       const planner::PlanOptions& planning,
                       planner::MadePlan& made);

}  // namespace tessera::cli
