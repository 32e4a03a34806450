// SPDX-License-Identifier: Apache-2.0
//
// Plans as people look at them: one layer explained, two plans compared, a
// picture.

#pragma once

#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/plan_file/plan_file.hpp"

namespace tessera::planner {

// Lines about the layer of that name, or about all that a glob matches.
// Errors: NOT_FOUND, naming a layer there is.
Result<std::string> explain_layers(const PlanFile& plan,
                                   const std::string& pattern);

// One line for each thing that differs; empty if the plans decide the same for
// the same things.
std::vector<std::string> compare_plans(const PlanFile& a, const PlanFile& b);

// An SVG: a row for each segment, a column for each device, coloured by the
// precision of its linears, with predicted times.
std::string draw_plan(const PlanFile& plan);

}  // namespace tessera::planner
