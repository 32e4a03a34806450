// SPDX-License-Identifier: Apache-2.0
//
// Plans to go on with when a device of a plan is lost.

#pragma once

#include <string>

#include "framework/planner/plan_file/plan_file.hpp"

namespace tessera::planner {

// `plan` with devices and schemes as `contingency` has them.  Its predictions
// and margins are those of the old plan and mean nothing any more.
//
// Errors  FAILED_PRECONDITION, with the reason, if the contingency found no
//         plan; INVALID_ARGUMENT if it says nothing of a layer
Result<PlanFile> apply_contingency(const PlanFile& plan,
                                   const Contingency& contingency);

// All of `plan` on one device, in the schemes that it has.
PlanFile move_to_device(const PlanFile& plan, const std::string& device);

}  // namespace tessera::planner
