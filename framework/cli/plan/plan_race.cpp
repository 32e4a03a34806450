// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/plan_race.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/plan/race_rules.hpp"

namespace tessera::cli {
namespace {

// Of a run: at most, at least, and no more once they took so long.
constexpr uint32_t kMostSteps = 24;
constexpr uint32_t kLeastSteps = 8;
constexpr double kEnoughNs = 1e8;

// A trial's part of a prompt, and its steps.
constexpr uint32_t kTrialShare = 8;
constexpr uint32_t kTrialSteps = 3;

// Of the machine's memory, what rounded weights are kept in, and as much what
// is left of packed ones; of a device's, what plans that are loaded at once
// take.
constexpr uint64_t kShareOfMemory = 4;

uint64_t share_of_pool(const planner::Problem& problem) {
  uint64_t least = UINT64_MAX;
  for (const planner::MemoryPool& pool : problem.pools) {
    least = std::min(least, pool.bytes);
  }
  return least / kShareOfMemory;
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

}  // namespace

RunTimes run_times(const planner::Workload& work, const Contender& first,
                   const planner::Prediction& prediction) {
  const double prefill_ns = wall_ns(prediction.prefill_ns);
  const double step_ns = wall_ns(prediction.decode_ns);
  return {prefill_ns / kTrialShare + trial_of(work).tokens * step_ns,
          prefill_ns + decode_steps(work, first) * step_ns,
          prefill_ns + work.generate * step_ns};
}

PlanRace::PlanRace(const PlanInputs& inputs, const planner::Problem& problem)
    : inputs_(inputs), problem_(problem), rounded_(share_of_pool(problem)) {}

uint64_t PlanRace::bytes_at_once() const {
  uint64_t least = UINT64_MAX;
  for (const auto& [name, device] : inputs_.devices) {
    least = std::min(least, device->info().memory_bytes);
  }
  return least / kShareOfMemory;
}

Result<PlanRace::Runner> PlanRace::open(Contender& contender,
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
  session.max_tokens = step_tokens_of(work);
  session.max_seqs = work.batch;
  session.max_outputs = work.batch;
  session.max_context = work.prompt + std::max(1U, work.generate);
  session.shared = &shared;
  Runner runner;
  runner.contender = &contender;
  TSR_ASSIGN_OR_RETURN(runner.session,
                       open_plan_session(*inputs_.model, plan, session));
  return runner;
}

Status PlanRace::run_round(std::vector<Runner>& runners) {
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
    one.took.add(total);
    one.contender->prefill.push_back(sample.prefill_ns);
    one.contender->decode.push_back(step);
    one.contender->total.push_back(total);
  }
  return {};
}

// The first plan is what all others are held against.
Status PlanRace::run_trial(std::vector<Runner>& runners, const Screening& how) {
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
      if (!took.empty() && is_beyond_doubt(how, least, took.front())) break;
    }
    took.push_back(least);
    if (is_hopeless(how, least, took.front())) {
      one.contender->hopeless = least / took.front();
    }
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
                          uint32_t rounds) {
  Residents shared(nullptr, &rounded_);
  std::vector<Runner> runners;
  for (Contender* one : contenders) {
    TSR_ASSIGN_OR_RETURN(Runner runner, open(*one, shared));
    runners.push_back(std::move(runner));
  }
  TSR_RETURN_IF_ERROR(warm_up(runners));
  for (uint32_t round = 0; round < rounds; ++round) {
    TSR_RETURN_IF_ERROR(run_round(runners));
  }
  for (Contender* one : contenders) {
    one->loads.push_back(
        bench::quantile_of(std::span(one->total).last(rounds), 0.5));
  }
  return {};
}

Status PlanRace::run(const std::vector<Contender*>& contenders,
                     const RaceLength& length,
                     const std::function<bool()>& is_late) {
  std::vector<Contender*> left = contenders;
  for (uint32_t load = 0; load < length.loads; ++load) {
    if (load > 0 && is_late()) return {};
    TSR_RETURN_IF_ERROR(run_load(left, length.rounds));
    if (length.settled <= 0.0) continue;
    std::erase_if(left, [&](const Contender* one) {
      if (one == contenders.front()) return false;
      const std::vector<double> ratios =
          ratios_of(one->loads, contenders.front()->loads);
      return is_settled({ratios, length.loads}, length.settled);
    });
    if (left.size() == 1) return {};
  }
  return {};
}

Result<double> PlanRace::begin_screening(Contender& own) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  left_ = std::make_unique<Residents>(nullptr, &rounded_);
  left_->keep_weights(share_of_pool(problem_));
  TSR_ASSIGN_OR_RETURN(home_, open(own, *left_));
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

Status PlanRace::screen(const std::vector<Contender*>& others,
                        const Screening& how) {
  home_->contender->total.clear();
  home_->took = {};
  std::vector<Runner> runners{*home_};
  for (Contender* one : others) {
    TSR_ASSIGN_OR_RETURN(Runner runner, open(*one, *left_));
    runners.push_back(std::move(runner));
  }
  TSR_RETURN_IF_ERROR(run_trial(runners, how));
  for (uint32_t round = 0; round < how.rounds && runners.size() > 1; ++round) {
    TSR_RETURN_IF_ERROR(run_round(runners));
    const RunRange own = runners.front().took;
    std::erase_if(runners, [&](const Runner& one) {
      return gives_up(how, one.took, own);
    });
  }
  return {};
}

void PlanRace::end_screening() {
  home_.reset();
  left_.reset();
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

std::vector<double> ratios_of(const std::vector<double>& one,
                              const std::vector<double>& to) {
  std::vector<double> ratios(one.size());
  std::transform(one.begin(), one.end(), to.begin(), ratios.begin(),
                 std::divides<>());
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
