// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/refine_costs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "framework/cli/console.hpp"
#include "framework/tuning/plan/plan_problem.hpp"
#include "framework/tuning/plan/plan_timing.hpp"

namespace tessera::cli {
namespace {

// Of the time there is, what cells may take: steps of the plan come after them.
constexpr double kCellsShare = 0.8;

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

Status refine_costs(const PlanCommandOptions& options, PlanInputs& inputs) {
  using Clock = std::chrono::steady_clock;
  const std::chrono::duration<double> budget(options.profile_seconds);
  auto end = Clock::now() + kCellsShare * budget;
  const auto is_late = [&end] { return Clock::now() >= end; };
  ProblemMaker& maker = *inputs.costs->maker;
  TSR_RETURN_IF_ERROR(time_plans(maker, is_late, inputs.problem));
  // Other plans are compared by what they take, not by what devices say.
  if (options.compare_baselines || options.challenge > 0) {
    end = Clock::now() + budget;
    TSR_RETURN_IF_ERROR(maker.measure_rest(is_late, inputs.problem));
  }
  maker.end_optimism(inputs.problem);
  const ProbeCounts& counts = maker.counts();
  const std::string steps =
      counts.steps == 0
          ? ""
          : fmt::format(", steps of {} {} timed as a whole", counts.steps,
                        counts.steps == 1 ? "plan" : "plans");
  const std::string busy =
      counts.busy == 0
          ? ""
          : fmt::format(", {} not kept, for the machine was busy", counts.busy);
  write_err(fmt::format(
      "costs: {} kinds of segment timed now, {} timed before{}{}; what no plan "
      "would use is as devices estimate\n",
      counts.measured, counts.found, steps, busy));
  for (const CostDrift& drift : maker.drifts(inputs.problem)) {
    write_err(drift_text(drift));
  }
  return {};
}

}  // namespace tessera::cli
