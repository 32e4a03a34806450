// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/replan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/cli/plan/plan_race.hpp"
#include "framework/cli/plan/verify.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/tuning/plan/plan_timing.hpp"
#include "framework/tuning/plan/problem_costs.hpp"

namespace tessera::cli {
namespace {

using planner::kDecode;
using planner::kPrefill;

using PhaseTimes = std::array<double, 2>;  // ns of a prompt, of a decode step

// Half of what a prediction may be off.
constexpr double kChanged = 1.05;
constexpr int kMostReplans = 2;
constexpr int kGoesForPace = 3;

// Of a plan's time as it is now to what it was chosen by.
struct Change {
  std::array<double, 2> by_phase{1.0, 1.0};
  double of_workload = 1.0;

  bool is_large() const {
    return std::max(of_workload, 1.0 / of_workload) > kChanged;
  }
  // A loud second is gone the next time.
  bool is_like(const Change& other) const {
    const double ratio = of_workload / other.of_workload;
    return std::max(ratio, 1.0 / ratio) <= kChanged;
  }
};

double ratio_of(double now, double before) {
  return now > 0.0 && before > 0.0 ? now / before : 1.0;
}

Result<PhaseTimes> predicted(const planner::Problem& problem,
                             const planner::Assignment& assignment) {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem));
  TSR_ASSIGN_OR_RETURN(const planner::Prediction prediction,
                       planner::predict(problem, built, assignment));
  return PhaseTimes{wall_ns(prediction.prefill_ns),
                    wall_ns(prediction.decode_ns)};
}

Change change_of(const PhaseTimes& before, const PhaseTimes& after,
                 const planner::Workload& workload) {
  const auto workload_ns = [&workload](const PhaseTimes& times) {
    return times[kPrefill] + workload.generate * times[kDecode];
  };
  return {{ratio_of(after[kPrefill], before[kPrefill]),
           ratio_of(after[kDecode], before[kDecode])},
          ratio_of(workload_ns(after), workload_ns(before))};
}

// Of what the problem holds of the plan and what is timed of it now.
Result<Change> find_change(ProblemMaker& maker, const planner::Problem& problem,
                           const planner::Assignment& assignment) {
  planner::Problem now = problem;
  TSR_RETURN_IF_ERROR(maker.measure_again(assignment, now));
  TSR_ASSIGN_OR_RETURN(const PhaseTimes before, predicted(problem, assignment));
  TSR_ASSIGN_OR_RETURN(const PhaseTimes after, predicted(now, assignment));
  return change_of(before, after, problem.workload);
}

// The same of the plan's own steps, in the middle one of a few goes: parts of a
// plan over several devices take something else by themselves.  None for other
// plans.
Result<Change> find_pace(ProblemMaker& maker, const planner::Problem& problem,
                         const planner::Assignment& assignment) {
  TSR_ASSIGN_OR_RETURN(const PhaseTimes before, predicted(problem, assignment));
  std::vector<Change> goes;
  for (int go = 0; go < kGoesForPace; ++go) {
    const auto pace = maker.time_pace(assignment, problem);
    if (!pace) return Change{};
    const PhaseTimes after{before[kPrefill] * (*pace)[kPrefill],
                           before[kDecode] * (*pace)[kDecode]};
    goes.push_back(change_of(before, after, problem.workload));
  }
  const auto middle = goes.begin() + kGoesForPace / 2;
  std::nth_element(goes.begin(), middle, goes.end(),
                   [](const Change& a, const Change& b) {
                     return a.of_workload < b.of_workload;
                   });
  return *middle;
}

bool is_on_one_device(const planner::Assignment& assignment) {
  const uint32_t device = assignment.segments.front().devices[kPrefill];
  return std::all_of(
      assignment.segments.begin(), assignment.segments.end(),
      [device](const planner::Assignment::Segment& segment) {
        return segment.devices == std::array<uint32_t, 2>{device, device};
      });
}

// Into `problem`, until a plan uses nothing that was timed at another speed.
Status time_anew(const PlanCommandOptions& options, const Change& change,
                 const planner::Assignment& assignment, ProblemMaker& maker,
                 planner::Problem& problem) {
  using Clock = std::chrono::steady_clock;
  const auto end =
      Clock::now() + std::chrono::duration<double>(options.profile_seconds);
  TSR_RETURN_IF_ERROR(maker.measure_anew(assignment, change.by_phase, problem));
  TSR_RETURN_IF_ERROR(time_plans(
      maker, [&end] { return Clock::now() >= end; }, problem));
  maker.end_optimism(problem);
  return {};
}

void say_changed(const Change& change) {
  write_err(
      fmt::format("the machine has changed: prefill takes {:.2f} times what "
                  "the plan was made from, a decode step {:.2f}; planned "
                  "anew\n",
                  change.by_phase[kPrefill], change.by_phase[kDecode]));
}

// What the plan takes by its parts; whether the costs are others now.
Result<bool> follow_parts(const PlanCommandOptions& options,
                          const planner::Assignment& assignment,
                          ProblemMaker& maker, planner::Problem& problem) {
  TSR_ASSIGN_OR_RETURN(const Change change,
                       find_change(maker, problem, assignment));
  if (!change.is_large()) return false;
  TSR_ASSIGN_OR_RETURN(const Change again,
                       find_change(maker, problem, assignment));
  if (!again.is_large() || !again.is_like(change)) return false;
  TSR_RETURN_IF_ERROR(time_anew(options, again, assignment, maker, problem));
  say_changed(again);
  return true;
}

// And by its steps: all devices share the machine, so all costs change alike.
Result<bool> follow_steps(const planner::Assignment& assignment,
                          ProblemMaker& maker, planner::Problem& problem) {
  TSR_ASSIGN_OR_RETURN(const Change change,
                       find_pace(maker, problem, assignment));
  if (!change.is_large()) return false;
  scale_times(change.by_phase, problem);
  say_changed(change);
  return true;
}

}  // namespace

bool verifies(const PlanCommandOptions& options, const PlanInputs& inputs) {
  return inputs.model && options.max_kl >= 0.0 && options.verify_tokens > 0;
}

Result<planner::MadePlan> plan_as_asked(const PlanCommandOptions& options,
                                        const planner::PlanOptions& planning,
                                        PlanInputs& inputs) {
  return verifies(options, inputs)
             ? plan_and_verify(options, planning, inputs)
             : planner::make_plan(inputs.problem, planning);
}

Result<bool> replan_for_runs(const PlanCommandOptions& options,
                             const planner::PlanOptions& planning,
                             PlanInputs& inputs, planner::Problem& problem,
                             planner::MadePlan& made) {
  // What parts of divided linears take follows from whole ones.
  if (options.profile_seconds <= 0.0 || options.split_linears) return false;
  ProblemMaker& maker = *inputs.costs->maker;
  for (int go = 0; go < kMostReplans; ++go) {
    TSR_ASSIGN_OR_RETURN(
        const bool changed,
        is_on_one_device(made.assignment)
            ? follow_parts(options, made.assignment, maker, problem)
            : follow_steps(made.assignment, maker, problem));
    if (!changed) return go > 0;
    inputs.problem = problem;
    TSR_ASSIGN_OR_RETURN(made, plan_as_asked(options, planning, inputs));
  }
  return true;
}

}  // namespace tessera::cli
