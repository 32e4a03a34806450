// SPDX-License-Identifier: Apache-2.0
//
// Holds a plan against many others by running them all.

#pragma once

#include <string>

#include "framework/base/status.hpp"
#include "framework/cli/plan/faster_plan.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/cli/plan/plan_race.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// Runs options.challenge random plans, twice as many that are one step away,
// all uniform plans and all baselines, each in turns with the plan; the fastest
// again, longer; and the fastest of those once more.  A plan that is picked for
// its time had luck as well, so only the last runs say how far the plan is from
// the best.  Says on stderr how long it will take; with
// options.challenge_seconds it begins nothing that is not due by then, and says
// what it came to.
//
// Requires  check_runs()
// Returns   how far that is, and the best if the plan gives way to it
// Errors    as run_for_real()
Result<RaceReport> challenge_plan(const PlanCommandOptions& options,
                                  const planner::Problem& problem,
                                  const planner::MadePlan& made,
                                  const planner::SolveLimits& limits,
                                  PlanRace& race);

}  // namespace tessera::cli
