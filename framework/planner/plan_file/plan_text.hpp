// SPDX-License-Identifier: Apache-2.0
//
// Plans as people read them: one layer explained, two plans compared.

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

}  // namespace tessera::planner
