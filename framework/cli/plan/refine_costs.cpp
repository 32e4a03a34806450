// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/refine_costs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/solver/solve.hpp"
#include "framework/tuning/plan/plan_problem.hpp"

namespace tessera::cli {
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
  planner::SolveLimits limits;
  limits.gap = kRefiningGap;
  const planner::Solution solution = planner::solve_chain(built->chain, limits);
  if (!solution.feasible) return 0U;
  return maker.measure_used(
      planner::to_assignment(asked, *built, solution.choice), is_late, problem);
}

// One after the other until the best plan, and then those without a device,
// use nothing that was not timed.
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

std::string drift_text(const CostDrift& drift) {
  return fmt::format(
      "costs: {} takes {:.2f} times what was kept in prefill, {:.2f} in "
      "decode; "
      "of {} kept times {} are timed anew and {} scaled by as much\n",
      drift.device, drift.ratio[planner::kPrefill],
      drift.ratio[planner::kDecode], drift.num_kept,
      drift.num_kept - std::min(drift.num_kept, drift.num_left),
      drift.num_left);
}

}  // namespace

bool times_all(const PlanCommandOptions& options) {
  return options.compare_baselines || options.challenge > 0;
}

Status refine_costs(const PlanCommandOptions& options, PlanInputs& inputs) {
  using Clock = std::chrono::steady_clock;
  const auto end =
      Clock::now() + std::chrono::duration<double>(options.profile_seconds);
  const auto is_late = [end] { return Clock::now() >= end; };
  ProblemMaker& maker = *inputs.costs->maker;
  TSR_RETURN_IF_ERROR(time_plans(maker, is_late, inputs.problem));
  if (times_all(options)) {
    TSR_RETURN_IF_ERROR(maker.measure_stale(is_late, inputs.problem));
  }
  maker.end_optimism(inputs.problem);
  const ProbeCounts& counts = maker.counts();
  const std::string busy =
      counts.busy == 0
          ? ""
          : fmt::format(", {} not kept, for the machine was busy", counts.busy);
  write_err(fmt::format(
      "costs: {} kinds of segment timed now, {} timed before{}; what no plan "
      "would use is as devices estimate\n",
      counts.measured, counts.found, busy));
  for (const CostDrift& drift : maker.drifts(inputs.problem)) {
    write_err(drift_text(drift));
  }
  return {};
}

}  // namespace tessera::cli
