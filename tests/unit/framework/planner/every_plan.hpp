// SPDX-License-Identifier: Apache-2.0
//
// Every plan of a small problem, added up by docs/planner.md and by nothing of
// the planner's.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>

#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

// What a whole plan comes to.
struct PlanSum {
  double objective = 0.0;
  std::array<double, 2> kl{};       // by phase
  std::array<double, 2> ns{};       // by phase
  std::map<uint32_t, double> held;  // by pool
  std::map<uint32_t, double> peak;  // by pool
  std::map<uint32_t, double> load;  // by compute

  double memory(uint32_t pool) const;
};

// Calls visit() with each plan that keeps the rules, whatever the limits.
//
// Requires  that every device runs every segment, and that all of them are
//           linked
void visit_every_plan(const Problem& problem,
                      const std::function<void(const PlanSum&)>& visit);

bool keeps_limits(const Problem& problem, const PlanSum& sum);

// Of all plans that keep the limits; more than any plan costs if none does.
double best_of_every_plan(const Problem& problem);
inline constexpr double kNoPlan = 1e300;

}  // namespace tessera::planner
