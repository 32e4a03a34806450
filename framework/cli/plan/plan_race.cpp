// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_race.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/plan/loaded_plan.hpp"

namespace tessera::cli {
namespace {

constexpr uint32_t kStepTokens = 512;  // as `tessera run` steps
// Of a run: at most, at least, and no more once they took so long.
constexpr uint32_t kMostSteps = 24;
constexpr uint32_t kLeastSteps = 8;
constexpr double kEnoughNs = 1e8;

// A trial's part of a prompt, and its steps.
constexpr uint32_t kTrialShare = 8;
constexpr uint32_t kTrialSteps = 3;

// Fewer have no interval of 95 %.
constexpr size_t kLeastRatios = 6;

// Of the machine's memory, what rounded weights are kept in.
constexpr uint64_t kShareOfRounded = 4;
// Of a device's memory, what plans that are loaded at once take.
constexpr uint64_t kShareAtOnce = 2;

uint64_t most_rounded(const planner::Problem& problem) {
  uint64_t least = UINT64_MAX;
  for (const planner::MemoryPool& pool : problem.pools) {
    least = std::min(least, pool.bytes);
  }
  return least / kShareOfRounded;
}

// Steps of all plans, by what the first of them is to take.
uint32_t decode_steps(const planner::Workload& work, const Contender& first) {
  const double step_ns = std::max(wall_ns(first.prediction.decode_ns), 1.0);
  const double enough = std::min(kEnoughNs / step_ns, double{kMostSteps});
  return std::clamp(std::max(static_cast<uint32_t>(enough), kLeastSteps), 1U,
                    std::max(work.generate, 1U));
}

bench::ModelLoad trial_of(const planner::Workload& work) {
  return {work.batch, std::max(work.prompt / kTrialShare, 1U),
          std::min(kTrialSteps, std::max(work.generate, 1U))};
}

bool is_settled(const Contender& one, const Contender& first, double enough) {
  const std::vector<double> ratios = time_ratios(one, first);
  if (ratios.size() < kLeastRatios) return false;
  const bench::MedianInterval found = bench::median_interval(ratios);
  return found.low > 1.0 + enough || found.high - found.low < enough;
}

}  // namespace

PlanRace::PlanRace(const PlanInputs& inputs, const planner::Problem& problem)
    : inputs_(inputs), problem_(problem), rounded_(most_rounded(problem)) {}

uint64_t PlanRace::bytes_at_once() const {
  uint64_t least = UINT64_MAX;
  for (const auto& [name, device] : inputs_.devices) {
    least = std::min(least, device->info().memory_bytes);
  }
  return least / kShareAtOnce;
}

Result<std::unique_ptr<Session>> PlanRace::open(const Contender& contender,
                                                Residents& shared) const {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem_));
  LoadedPlan plan{contender.name,
                  planner::plan_of(problem_, built, contender.assignment),
                  inputs_.base,
                  inputs_.devices,
                  {}};
  const planner::Workload& work = problem_.workload;
  SessionOptions session;
  session.max_tokens = std::max(kStepTokens, work.batch);
  session.max_seqs = work.batch;
  session.max_outputs = work.batch;
  session.max_context = work.prompt + std::max(1U, work.generate);
  session.shared = &shared;
  return open_plan_session(*inputs_.model, plan, session);
}

Status PlanRace::run_round(std::vector<Runner>& runners, bool counts) {
  const planner::Workload& work = problem_.workload;
  const bench::ModelLoad load{work.batch, work.prompt,
                              decode_steps(work, *runners.front().contender)};
  std::vector<size_t> order(runners.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Nobody always comes after the same one.
  std::shuffle(order.begin(), order.end(), rng_);
  for (const size_t i : order) {
    Runner& one = runners[i];
    TSR_ASSIGN_OR_RETURN(const bench::ModelSample sample,
                         bench::run_model(*one.session, load, false));
    const double step = bench::quantile_of(sample.step_ns, 0.5);
    const double total = sample.prefill_ns + work.generate * step;
    one.quickest = std::min(one.quickest, total);
    one.slowest = std::max(one.slowest, total);
    if (!counts) continue;
    one.contender->prefill.push_back(sample.prefill_ns);
    one.contender->decode.push_back(step);
    one.contender->total.push_back(total);
  }
  return {};
}

// The first plan is what all others are held against.
Status PlanRace::run_trial(std::vector<Runner>& runners, double hopeless) {
  const planner::Workload& work = problem_.workload;
  const bench::ModelLoad load = trial_of(work);
  std::vector<double> took;
  for (Runner& one : runners) {
    // The first run also brings what was just loaded to the caches.
    double least = std::numeric_limits<double>::infinity();
    for (int run = 0; run < 2; ++run) {
      TSR_ASSIGN_OR_RETURN(const bench::ModelSample sample,
                           bench::run_model(*one.session, load, false));
      const double step = bench::quantile_of(sample.step_ns, 0.5);
      least = std::min(least,
                       kTrialShare * sample.prefill_ns + work.generate * step);
      if (!took.empty() && least > 2.0 * hopeless * took.front()) break;
    }
    took.push_back(least);
    const double ratio = least / took.front();
    if (ratio > hopeless) one.contender->hopeless = ratio;
  }
  std::erase_if(runners, [](const Runner& one) {
    return one.contender->hopeless.has_value();
  });
  return {};
}

// Weights come to the caches in a trial as in a whole run.
Status PlanRace::warm_up(std::vector<Runner>& runners) {
  for (Runner& one : runners) {
    TSR_RETURN_IF_ERROR(
        bench::run_model(*one.session, trial_of(problem_.workload), false)
            .status());
  }
  return {};
}

Status PlanRace::run_load(const std::vector<Contender*>& contenders,
                          const RaceLength& length) {
  Residents shared(nullptr, &rounded_);
  std::vector<Runner> runners;
  for (Contender* one : contenders) {
    TSR_ASSIGN_OR_RETURN(std::unique_ptr<Session> session, open(*one, shared));
    Runner runner;
    runner.contender = one;
    runner.session = std::move(session);
    runners.push_back(std::move(runner));
  }
  if (length.hopeless > 0.0) {
    TSR_RETURN_IF_ERROR(run_trial(runners, length.hopeless));
    if (runners.size() == 1) return {};
  }
  TSR_RETURN_IF_ERROR(length.gives_up > 0.0 ? run_round(runners, false)
                                            : warm_up(runners));
  for (uint32_t round = 0; round < length.rounds; ++round) {
    TSR_RETURN_IF_ERROR(run_round(runners, true));
    if (length.gives_up <= 0.0) continue;
    const double limit = length.gives_up * runners.front().slowest;
    std::erase_if(runners,
                  [&](const Runner& one) { return one.quickest > limit; });
    if (runners.size() == 1) return {};
  }
  return {};
}

Status PlanRace::run(const std::vector<Contender*>& contenders,
                     const RaceLength& length) {
  std::vector<Contender*> left = contenders;
  for (uint32_t load = 0; load < length.loads; ++load) {
    TSR_RETURN_IF_ERROR(run_load(left, length));
    if (length.settled <= 0.0) continue;
    std::erase_if(left, [&](const Contender* one) {
      return one != contenders.front() &&
             is_settled(*one, *contenders.front(), length.settled);
    });
    if (left.size() == 1) return {};
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
