// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_race.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/plan/verify.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kStepTokens = 512;  // as `tessera run` steps
constexpr uint32_t kDecodeSteps = 24;  // of a run, at most

}  // namespace

Result<std::unique_ptr<Session>> PlanRace::open(
    const Contender& contender) const {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem_));
  LoadedPlan plan{contender.name,
                  planner::plan_of(problem_, built, contender.assignment),
                  inputs_.base,
                  inputs_.devices,
                  {}};
  sign_plan(options_, inputs_, plan.file);
  const planner::Workload& work = problem_.workload;
  SessionOptions session;
  session.max_tokens = std::max(kStepTokens, work.batch);
  session.max_seqs = work.batch;
  session.max_outputs = work.batch;
  session.max_context = work.prompt + std::max(1U, work.generate);
  return open_plan_session(*inputs_.model, plan, session);
}

Status PlanRace::run_round(
    const std::vector<Contender*>& contenders,
    const std::vector<std::unique_ptr<Session>>& sessions, bool counts) {
  const planner::Workload& work = problem_.workload;
  const bench::ModelLoad load{work.batch, work.prompt,
                              std::clamp(work.generate, 1U, kDecodeSteps)};
  std::vector<size_t> order(contenders.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Nobody always comes after the same one.
  std::shuffle(order.begin(), order.end(), rng_);
  for (const size_t i : order) {
    TSR_ASSIGN_OR_RETURN(const bench::ModelSample sample,
                         bench::run_model(*sessions[i], load, false));
    if (!counts) continue;
    const double step = bench::quantile_of(sample.step_ns, 0.5);
    contenders[i]->prefill.push_back(sample.prefill_ns);
    contenders[i]->decode.push_back(step);
    contenders[i]->total.push_back(sample.prefill_ns + work.generate * step);
  }
  return {};
}

Status PlanRace::run(const std::vector<Contender*>& contenders,
                     const RaceLength& length) {
  for (uint32_t load = 0; load < length.loads; ++load) {
    std::vector<std::unique_ptr<Session>> sessions;
    for (const Contender* one : contenders) {
      TSR_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, open(*one));
      sessions.push_back(std::move(session));
    }
    for (uint32_t round = 0; round <= length.rounds; ++round) {
      TSR_RETURN_IF_ERROR(run_round(contenders, sessions, round > 0));
    }
  }
  return {};
}

double PlanRace::predicted_ns(const planner::Prediction& prediction) const {
  return wall_ns(prediction.prefill_ns) +
         problem_.workload.generate * wall_ns(prediction.decode_ns);
}

Result<Contender> own_contender(const planner::Problem& problem,
                                const planner::MadePlan& made) {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem));
  Contender own;
  own.name = "tessera";
  own.assignment = made.assignment;
  TSR_ASSIGN_OR_RETURN(own.prediction,
                       planner::predict(problem, built, made.assignment));
  return own;
}

std::vector<double> time_ratios(const Contender& one, const Contender& to) {
  std::vector<double> ratios(one.total.size());
  std::transform(one.total.begin(), one.total.end(), to.total.begin(),
                 ratios.begin(), std::divides<>());
  return ratios;
}

std::string ratio_text(const bench::MedianInterval& ratio) {
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", ratio.median, ratio.low,
                     ratio.high);
}

double wall_ns(const std::map<std::string, double>& times) {
  const auto wall = times.find("wall");
  return wall == times.end() ? 0.0 : wall->second;
}

}  // namespace tessera::cli
