// SPDX-License-Identifier: Apache-2.0
//
// A plan as a picture: which device runs what in which precision, and for how
// long.

#pragma once

#include <string>
#include <vector>

#include "framework/planner/plan_file/plan_file.hpp"

namespace tessera::planner {

// An SVG: a row for each segment, a column for each device.  A cell has a
// stripe for each linear of the segment, coloured by its precision, and the
// predicted times of what runs there; where prefill and decode differ, prefill
// is the upper half.  A legend of the precisions stands above.
//
// title  lines for the top
std::string draw_plan(const PlanFile& plan,
                      const std::vector<std::string>& title);

}  // namespace tessera::planner
