// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/plan_timing.hpp"

#include <cstdint>
#include <string>
#include <vector>

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

// Times what the best plan of `asked` uses into `problem`, whose cells are the
// same.  Returns how much was timed.
Result<uint32_t> time_plan_of(const Problem& asked, ProblemMaker& maker,
                              const std::function<bool()>& is_late,
                              Problem& problem) {
  const Result<planner::BuiltChain> built = planner::build_chain(asked);
  if (!built.ok()) return 0U;
  const planner::Solution solution = planner::solve_chain(
      built->chain, planner::interactive_limits(kRefiningGap));
  if (!solution.feasible) return 0U;
  return maker.measure_used(
      planner::to_assignment(asked, *built, solution.choice), is_late, problem);
}

}  // namespace

Status time_plans(ProblemMaker& maker, const std::function<bool()>& is_late,
                  Problem& problem) {
  while (!is_late()) {
    TSR_ASSIGN_OR_RETURN(uint32_t num_timed,
                         time_plan_of(problem, maker, is_late, problem));
    if (num_timed > 0) continue;
    for (size_t d = 0; d < problem.devices.size() && !is_late(); ++d) {
      if (problem.devices.size() == 1) break;
      TSR_ASSIGN_OR_RETURN(
          const uint32_t for_loss,
          time_plan_of(avoid_device(problem, problem.devices[d].name), maker,
                       is_late, problem));
      num_timed += for_loss;
    }
    if (num_timed == 0) break;
  }
  return {};
}

}  // namespace tessera
