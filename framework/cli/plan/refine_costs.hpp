// SPDX-License-Identifier: Apache-2.0
//
// Times what plans would use, so that no plan rests on what devices only say
// or what was true last week.

#pragma once

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"

namespace tessera::cli {

// Times what the best plan would use, and the best plans without each device,
// until they use nothing else or options.profile_seconds are over; where other
// plans are to be told apart, then the rest, for as long again.  Says so in a
// line, and in one more for each device whose kept times hold no longer.
//
// Requires  inputs.costs, made with times
// Errors    those of the planner and of ProblemMaker
Status refine_costs(const PlanCommandOptions& options, PlanInputs& inputs);

}  // namespace tessera::cli
