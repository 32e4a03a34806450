// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/plan_timing.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/planner/problem/assignment.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera {
namespace {

using planner::Problem;

// Good enough to say what is worth timing.
constexpr double kRefiningGap = 0.002;

// The same cells, but none on a device; rules that name it are left out, as
// where the planner plans for its loss.
Problem avoid_device(const Problem& problem, const std::string& name) {
  Problem rest = problem;
  std::erase_if(rest.rules,
                [&](const planner::Rule& rule) { return rule.device == name; });
  rest.rules.push_back({"*", name, "", true});
  return rest;
}

// Nothing if there is none, or none was found.
std::optional<planner::Assignment> best_plan(const Problem& problem) {
  const Result<planner::BuiltChain> built = planner::build_chain(problem);
  if (!built.ok()) return std::nullopt;
  const planner::Solution solution = planner::solve_chain(
      built->chain, planner::interactive_limits(kRefiningGap));
  if (!solution.feasible) return std::nullopt;
  return planner::to_assignment(problem, *built, solution.choice);
}

// Times what the best plans without each device use.  Returns how much.
Result<uint32_t> time_losses(ProblemMaker& maker,
                             const std::function<bool()>& is_late,
                             Problem& problem) {
  uint32_t num_timed = 0;
  if (problem.devices.size() == 1) return num_timed;
  for (size_t d = 0; d < problem.devices.size() && !is_late(); ++d) {
    const auto plan = best_plan(avoid_device(problem, problem.devices[d].name));
    if (!plan) continue;
    TSR_ASSIGN_OR_RETURN(const uint32_t timed,
                         maker.measure_used(*plan, is_late, problem));
    num_timed += timed;
  }
  return num_timed;
}

}  // namespace

Status time_plans(ProblemMaker& maker, const std::function<bool()>& is_late,
                  Problem& problem) {
  bool changed = true;
  while (changed && !is_late()) {
    const auto plan = best_plan(problem);
    if (plan) {
      TSR_ASSIGN_OR_RETURN(const uint32_t num_timed,
                           maker.measure_used(*plan, is_late, problem));
      if (num_timed > 0 || is_late()) continue;
      TSR_ASSIGN_OR_RETURN(const uint32_t num_close,
                           maker.measure_close(*plan, is_late, problem));
      if (num_close > 0 || is_late()) continue;
      TSR_ASSIGN_OR_RETURN(const bool lost,
                           maker.measure_steps(*plan, problem));
      if (lost) continue;
    }
    TSR_ASSIGN_OR_RETURN(const uint32_t num_timed,
                         time_losses(maker, is_late, problem));
    changed = num_timed > 0;
  }
  if (!is_late()) return {};
  const auto plan = best_plan(problem);
  return plan ? maker.measure_steps(*plan, problem).status() : Status();
}

}  // namespace tessera
