// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_runs.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "framework/cli/console.hpp"
#include "framework/cli/plan/challenge.hpp"
#include "framework/cli/plan/plan_race.hpp"
#include "framework/cli/plan/real_runs.hpp"
#include "framework/cli/plan/verify.hpp"

namespace tessera::cli {
namespace {

class PlanRuns {
 public:
  PlanRuns(const PlanCommandOptions& options, const PlanInputs& inputs,
           const planner::Problem& problem,
           const planner::PlanOptions& planning, planner::MadePlan& made)
      : options_(options),
        inputs_(inputs),
        problem_(problem),
        planning_(planning),
        made_(made) {}

  Result<bool> run() {
    PlanRace race(inputs_, problem_);
    if (options_.run) {
      TSR_ASSIGN_OR_RETURN(const RaceReport report,
                           run_for_real(options_, inputs_, problem_, made_,
                                        planning_.solve, race));
      TSR_RETURN_IF_ERROR(take(report));
    }
    if (options_.challenge > 0) {
      TSR_ASSIGN_OR_RETURN(
          const RaceReport report,
          challenge_plan(options_, problem_, made_, planning_.solve, race));
      TSR_RETURN_IF_ERROR(take(report));
    }
    return is_other_;
  }

 private:
  // The plan itself is what --json prints.
  void print(const std::string& text) const {
    (options_.json ? write_err : write_out)(text);
  }

  Status take(const RaceReport& report) {
    print("\n" + report.text);
    if (!report.faster || problem_.objective != planner::Objective::kLatency) {
      return {};
    }
    const FasterPlan& faster = *report.faster;
    const std::string why = fmt::format(
        "{}: ran in {} of the time of the plan that was predicted to take the "
        "least",
        faster.name, ratio_text(faster.ratio));
    TSR_ASSIGN_OR_RETURN(planner::MadePlan placed,
                         planner::put_in_place(made_, faster.assignment, why,
                                               problem_, planning_));
    if (made_.file.kl_measured) {
      TSR_ASSIGN_OR_RETURN(const bool keeps,
                           verify_other(options_, inputs_, placed));
      if (!keeps) {
        print(faster.name + ": does not keep --max-kl, so the plan stays\n");
        return {};
      }
    }
    made_ = std::move(placed);
    is_other_ = true;
    print("the plan now is " + why + "\n");
    return {};
  }

  const PlanCommandOptions& options_;
  const PlanInputs& inputs_;
  const planner::Problem& problem_;
  const planner::PlanOptions& planning_;
  planner::MadePlan& made_;
  bool is_other_ = false;
};

}  // namespace

Result<bool> run_plans(const PlanCommandOptions& options,
                       const PlanInputs& inputs,
                       const planner::Problem& problem,
                       const planner::PlanOptions& planning,
                       planner::MadePlan& made) {
  return PlanRuns(options, inputs, problem, planning, made).run();
}

}  // namespace tessera::cli
