// SPDX-License-Identifier: Apache-2.0
//
// What `tessera plan` prints.

#pragma once

#include <string>
#include <vector>

#include "framework/planner/baselines.hpp"
#include "framework/planner/planner.hpp"

namespace tessera::cli {

// What the plan comes to and how far from the best it can be; times by clock.
std::vector<std::string> plan_headlines(const planner::PlanFile& plan);

// A few lines: times by clock, gap, accuracy, memory, and what went where.
std::string plan_summary(const planner::PlanFile& plan);

// Baselines beside the plan; predicted.
std::string baselines_text(const planner::PlanFile& plan,
                           const std::vector<planner::Baseline>& baselines);

}  // namespace tessera::cli
