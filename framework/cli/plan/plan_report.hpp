// SPDX-License-Identifier: Apache-2.0
//
// What `tessera plan` prints.

#pragma once

#include <string>
#include <vector>

#include "framework/planner/baselines.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// A few lines: times by clock, gap, accuracy, memory, and what went where.
std::string plan_summary(const planner::PlanFile& plan);

// Baselines beside the plan; predicted.
std::string baselines_text(const planner::PlanFile& plan,
                           const std::vector<planner::Baseline>& baselines);

}  // namespace tessera::cli
