// SPDX-License-Identifier: Apache-2.0
//
// Holds a plan to its accuracy budget on text, and repairs it until it keeps
// it.

#pragma once

#include "framework/base/status.hpp"
#include "framework/cli/plan/plan_inputs.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// A plan whose measured KL keeps `max_kl` on the text for selection, planned
// anew with a smaller budget as often as that takes; then scored once on the
// text for reports.
//
// Requires  inputs.model, and a KL limit in the problem
// Errors    those of planning; RESOURCE_EXHAUSTED if no repair helps
Result<planner::MadePlan> plan_and_verify(const PlanCommandOptions& options,
                                          const planner::PlanOptions& planning,
                                          PlanInputs& inputs);

// Whether a plan that was chosen for its time keeps `max_kl` too, by the same
// texts; what it scores on the text for reports is in its file.
//
// Requires  inputs.model, and a KL limit
// Errors    those of scoring
Result<bool> verify_other(const PlanCommandOptions& options,
                          const PlanInputs& inputs, planner::MadePlan& made);

}  // namespace tessera::cli
