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

namespace tessera::cli {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Half of what a prediction may be off.
constexpr double kChanged = 1.05;
constexpr int kMostReplans = 2;

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

// Of what the problem holds of the plan and what is timed of it now.
Result<Change> find_change(ProblemMaker& maker, const planner::Problem& problem,
                           const planner::Assignment& assignment) {
  planner::Problem now = problem;
  TSR_RETURN_IF_ERROR(maker.measure_again(assignment, now));
  std::array<planner::Prediction, 2> predictions;
  const std::array<const planner::Problem*, 2> problems{&problem, &now};
  for (size_t i = 0; i < problems.size(); ++i) {
    TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                         planner::build_chain(*problems[i]));
    TSR_ASSIGN_OR_RETURN(predictions[i],
                         planner::predict(*problems[i], built, assignment));
  }
  const auto& [before, after] = predictions;
  Change change;
  change.by_phase[kPrefill] =
      ratio_of(wall_ns(after.prefill_ns), wall_ns(before.prefill_ns));
  change.by_phase[kDecode] =
      ratio_of(wall_ns(after.decode_ns), wall_ns(before.decode_ns));
  const auto workload_ns = [&problem](const planner::Prediction& prediction) {
    return wall_ns(prediction.prefill_ns) +
           problem.workload.generate * wall_ns(prediction.decode_ns);
  };
  change.of_workload = ratio_of(workload_ns(after), workload_ns(before));
  return change;
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
  // Steps that go from device to device differ from their parts by more than
  // machines change.
  if (!is_on_one_device(made.assignment)) return false;
  ProblemMaker& maker = *inputs.costs->maker;
  for (int go = 0; go < kMostReplans; ++go) {
    TSR_ASSIGN_OR_RETURN(const Change change,
                         find_change(maker, problem, made.assignment));
    if (!change.is_large()) return go > 0;
    TSR_ASSIGN_OR_RETURN(const Change again,
                         find_change(maker, problem, made.assignment));
    if (!again.is_large() || !again.is_like(change)) return go > 0;
    TSR_RETURN_IF_ERROR(
        time_anew(options, again, made.assignment, maker, problem));
    inputs.problem = problem;
    TSR_ASSIGN_OR_RETURN(made, plan_as_asked(options, planning, inputs));
    write_err(
        fmt::format("the machine has changed: prefill takes {:.2f} times what "
                    "the plan was made from, a decode step {:.2f}; planned "
                    "anew\n",
                    again.by_phase[kPrefill], again.by_phase[kDecode]));
  }
  return true;
}

}  // namespace tessera::cli
