// SPDX-License-Identifier: Apache-2.0
//
// Which of the plans that ran beside the planner's own are faster than it.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/bench/statistics/median_interval.hpp"
#include "framework/planner/problem/assignment.hpp"

namespace tessera::cli {

// A plan that took less time than the one that was made.
struct FasterPlan {
  std::string name;
  planner::Assignment assignment;
  bench::MedianInterval ratio;  // of its time to that one's
};

// What a race found.
struct RaceReport {
  std::string text;
  std::optional<FasterPlan> faster;  // that the plan gives way to
};

// The plans that are faster beyond chance, the fastest first.  Where none is,
// there is one among them in at most 5 % of races, however many plans.
//
// ratios  by plan, then load: its time to that of the planner's own plan
// Source  sign tests over the loads, adjusted by Holm
std::vector<size_t> faster_beyond_chance(
    const std::vector<std::vector<double>>& ratios);

// True if the plan gives way to one whose times these are: it is faster beyond
// chance, or by 3 % over three loads or more.  Where the plan was seen to be as
// far behind, keeping it is the worse bet, though the machine may be too
// restless to be sure.
//
// ratios  by load: its time to that of the planner's own plan
// known   holds their median, if so many loads can tell
bool gives_way(std::span<const double> ratios,
               const std::optional<bench::MedianInterval>& known);

}  // namespace tessera::cli
