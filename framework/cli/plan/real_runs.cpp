// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/real_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "framework/bench/model/model_timing.hpp"
#include "framework/bench/statistics/median_interval.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/plan/loaded_plan.hpp"
#include "framework/cli/plan/verify.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/table.hpp"
#include "framework/planner/baselines.hpp"
#include "framework/planner/rivals.hpp"

namespace tessera::cli {
namespace {

using bench::MedianInterval;
using planner::Assignment;
using planner::Prediction;
using planner::Rival;

constexpr uint32_t kStepTokens = 512;  // as `tessera run` steps
constexpr uint32_t kDecodeSteps = 24;  // of a run, at most
constexpr uint32_t kRounds = 15;
constexpr uint32_t kScreeningRounds = 3;
constexpr size_t kFinalists = 8;
// Plans that are loaded at once, and what they may hold together.
constexpr size_t kAtOnce = 7;
constexpr uint64_t kBytesAtOnce = uint64_t{1} << 30;

// A plan that is loaded, and its runs.
struct Contender {
  std::string name;
  Prediction prediction;
  std::unique_ptr<Session> session;
  std::vector<double> prefill;
  std::vector<double> decode;  // of a step
  std::vector<double> total;   // of the workload
};

class Track {
 public:
  Track(const PlanCommandOptions& options, const PlanInputs& inputs,
        const planner::Problem& problem)
      : options_(options), inputs_(inputs), problem_(problem) {}

  Result<Contender> open(const std::string& name, const Assignment& assignment,
                         const Prediction& prediction) const {
    TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                         planner::build_chain(problem_));
    LoadedPlan plan{name,
                    planner::plan_of(problem_, built, assignment),
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
    Contender contender;
    contender.name = name;
    contender.prediction = prediction;
    TSR_ASSIGN_OR_RETURN(contender.session,
                         open_plan_session(*inputs_.model, plan, session));
    return contender;
  }

  // All in turns; the first round warms up.
  Status race(const std::vector<Contender*>& contenders,
              uint32_t rounds) const {
    const planner::Workload& work = problem_.workload;
    const bench::ModelLoad load{work.batch, work.prompt,
                                std::clamp(work.generate, 1U, kDecodeSteps)};
    for (uint32_t round = 0; round <= rounds; ++round) {
      for (size_t i = 0; i < contenders.size(); ++i) {
        // Nobody always comes after the same one.
        Contender& one = *contenders[(i + round) % contenders.size()];
        TSR_ASSIGN_OR_RETURN(const bench::ModelSample sample,
                             bench::run_model(*one.session, load, false));
        if (round == 0) continue;
        const double step = bench::quantile_of(sample.step_ns, 0.5);
        one.prefill.push_back(sample.prefill_ns);
        one.decode.push_back(step);
        one.total.push_back(sample.prefill_ns + work.generate * step);
      }
    }
    return {};
  }

 private:
  const PlanCommandOptions& options_;
  const PlanInputs& inputs_;
  const planner::Problem& problem_;
};

double wall_of(const std::map<std::string, double>& times) {
  const auto wall = times.find("wall");
  return wall == times.end() ? 0.0 : wall->second;
}

double predicted_total(const planner::Problem& problem,
                       const Prediction& prediction) {
  return wall_of(prediction.prefill_ns) +
         problem.workload.generate * wall_of(prediction.decode_ns);
}

std::string interval_text(const MedianInterval& found) {
  return fmt::format("{} [{}, {}]", duration_text(found.median),
                     duration_text(found.low), duration_text(found.high));
}

// Of two series that were taken in turns, round by round.
MedianInterval ratio_of(const std::vector<double>& a,
                        const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    ratios.push_back(a[i] / b[i]);
  }
  return bench::median_interval(ratios);
}

std::string ratio_text(const MedianInterval& ratio) {
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", ratio.median, ratio.low,
                     ratio.high);
}

void add_rows(const planner::Problem& problem, const Contender& one,
              const std::string& to_ours, Table& table) {
  const auto add = [&](const char* what, double predicted,
                       const std::vector<double>& samples,
                       const std::string& ratio) {
    const MedianInterval found = bench::median_interval(samples);
    table.add_row(
        {one.name, what, duration_text(predicted), interval_text(found),
         fmt::format("{:+.1f} %", 100.0 * (predicted / found.median - 1.0)),
         ratio});
  };
  add("prefill", wall_of(one.prediction.prefill_ns), one.prefill, "");
  add("decode step", wall_of(one.prediction.decode_ns), one.decode, "");
  add("workload", predicted_total(problem, one.prediction), one.total, to_ours);
}

Table table_of_runs() {
  return Table({{"plan"},
                {"of"},
                {"predicted", Align::kRight},
                {"measured", Align::kRight},
                {"off by", Align::kRight},
                {"to ours", Align::kRight}});
}

// The plan itself, as an assignment under `problem`.
Result<Contender> open_own(const Track& track, const planner::Problem& problem,
                           const planner::MadePlan& made) {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem));
  TSR_ASSIGN_OR_RETURN(const Prediction prediction,
                       planner::predict(problem, built, made.assignment));
  return track.open("tessera", made.assignment, prediction);
}

// Of the plan and the baselines' after it.
std::string baselines_verdict(const std::vector<Contender>& contenders,
                              const std::vector<MedianInterval>& ratios) {
  if (contenders.size() < 2) return "";
  std::vector<double> medians;
  std::string faster;
  for (size_t i = 1; i < ratios.size(); ++i) {
    medians.push_back(ratios[i].median);
    if (ratios[i].high < 1.0) faster += ", " + contenders[i].name;
  }
  return fmt::format(
      "measured, baselines take {:.3f} times ours in the median; {}\n",
      bench::quantile_of(medians, 0.5),
      faster.empty() ? "none is faster beyond the interval"
                     : "faster beyond the interval: " + faster.substr(2));
}

// How many of `rivals` from `begin` on are loaded together.
size_t slice_end(const std::vector<const Rival*>& rivals, size_t begin) {
  uint64_t bytes = 0;
  size_t end = begin;
  while (end < rivals.size() && end - begin < kAtOnce) {
    for (const auto& [pool, count] : rivals[end]->prediction.memory) {
      bytes += count;
    }
    if (end > begin && bytes > kBytesAtOnce) break;
    ++end;
  }
  return end;
}

// A rival, and its time to the plan's.
struct Placing {
  const Rival* rival = nullptr;
  MedianInterval ratio;
};

Result<std::vector<Placing>> race_all(const Track& track, Contender& own,
                                      const std::vector<const Rival*>& rivals,
                                      uint32_t rounds, const char* what) {
  Progress progress(what);
  std::vector<Placing> placings;
  size_t begin = 0;
  while (begin < rivals.size()) {
    const size_t end = slice_end(rivals, begin);
    std::vector<Contender> slice;
    for (size_t i = begin; i < end; ++i) {
      TSR_ASSIGN_OR_RETURN(
          Contender one,
          track.open(rivals[i]->kind + " " + rivals[i]->detail,
                     rivals[i]->assignment, rivals[i]->prediction));
      slice.push_back(std::move(one));
    }
    own.total.clear();
    std::vector<Contender*> all = {&own};
    for (Contender& one : slice) all.push_back(&one);
    TSR_RETURN_IF_ERROR(track.race(all, rounds));
    for (size_t i = begin; i < end; ++i) {
      placings.push_back(
          {rivals[i], ratio_of(slice[i - begin].total, own.total)});
    }
    begin = end;
    progress.update(static_cast<double>(begin) /
                    static_cast<double>(rivals.size()));
  }
  std::stable_sort(placings.begin(), placings.end(),
                   [](const Placing& a, const Placing& b) {
                     return a.ratio.median < b.ratio.median;
                   });
  return placings;
}

std::string kinds_text(const std::vector<Placing>& placings) {
  std::map<std::string, std::pair<size_t, double>> kinds;
  for (const Placing& one : placings) {
    auto& [count, best] = kinds[one.rival->kind];
    best = count == 0 ? one.ratio.median : std::min(best, one.ratio.median);
    ++count;
  }
  Table table(
      {{"plans"}, {"run", Align::kRight}, {"fastest to ours", Align::kRight}});
  for (const auto& [kind, found] : kinds) {
    table.add_row({kind, std::to_string(found.first),
                   fmt::format("{:.3f}", found.second)});
  }
  return table.text();
}

}  // namespace

Status check_runs(const PlanCommandOptions& options, const PlanInputs& inputs) {
  if (!options.run && options.challenge == 0) return {};
  if (!inputs.model) {
    return {TSR_FAILED_PRECONDITION,
            "--run and --challenge need a model and its devices, not "
            "--devices-file"};
  }
  for (const planner::DeviceModel& device : inputs.problem.devices) {
    if (!device.simulated) continue;
    return {TSR_FAILED_PRECONDITION,
            "--run and --challenge: " + device.name +
                " is simulated, so its plans have no time of their own"};
  }
  return {};
}

Result<std::string> run_for_real(const PlanCommandOptions& options,
                                 const PlanInputs& inputs,
                                 const planner::Problem& problem,
                                 const planner::MadePlan& made,
                                 const planner::SolveLimits& limits) {
  const Track track(options, inputs, problem);
  std::vector<Contender> contenders;
  TSR_ASSIGN_OR_RETURN(Contender own, open_own(track, problem, made));
  contenders.push_back(std::move(own));
  if (options.compare_baselines) {
    TSR_ASSIGN_OR_RETURN(const auto baselines,
                         planner::find_baselines(problem, limits));
    for (const planner::Baseline& baseline : baselines) {
      if (!baseline.feasible) continue;
      TSR_ASSIGN_OR_RETURN(
          Contender one,
          track.open(baseline.name, baseline.assignment, baseline.prediction));
      contenders.push_back(std::move(one));
    }
  }
  std::vector<Contender*> all;
  all.reserve(contenders.size());
  for (Contender& one : contenders) all.push_back(&one);
  TSR_RETURN_IF_ERROR(track.race(all, kRounds));
  Table table = table_of_runs();
  std::vector<MedianInterval> ratios;
  for (const Contender& one : contenders) {
    ratios.push_back(ratio_of(one.total, contenders.front().total));
    add_rows(problem, one, ratio_text(ratios.back()), table);
  }
  return table.text() + baselines_verdict(contenders, ratios);
}

Result<std::string> challenge_plan(const PlanCommandOptions& options,
                                   const PlanInputs& inputs,
                                   const planner::Problem& problem,
                                   const planner::MadePlan& made,
                                   const planner::SolveLimits& limits) {
  const Track track(options, inputs, problem);
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Rival> rivals,
      planner::find_rivals(problem, made,
                           {options.challenge, 2 * options.challenge}, limits));
  if (rivals.empty()) return std::string("no other plan keeps the limits\n");
  TSR_ASSIGN_OR_RETURN(Contender own, open_own(track, problem, made));
  std::vector<const Rival*> all;
  all.reserve(rivals.size());
  for (const Rival& rival : rivals) all.push_back(&rival);
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Placing> screened,
      race_all(track, own, all, kScreeningRounds, "challenge"));
  std::vector<const Rival*> finalists;
  for (const Placing& one : screened) {
    if (finalists.size() < kFinalists) finalists.push_back(one.rival);
  }
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Placing> placings,
      race_all(track, own, finalists, kRounds, "challenge: the fastest again"));
  Table table({{"fastest again"},
               {"predicted to ours", Align::kRight},
               {"measured to ours", Align::kRight}});
  for (const Placing& one : placings) {
    table.add_row(
        {one.rival->kind + " " + one.rival->detail,
         fmt::format("{:.3f}", predicted_total(problem, one.rival->prediction) /
                                   predicted_total(problem, own.prediction)),
         ratio_text(one.ratio)});
  }
  const MedianInterval& best = placings.front().ratio;
  return kinds_text(screened) + "\n" + table.text() +
         fmt::format(
             "\nthe plan takes {:.1f} % more than the best of {} "
             "others [{:.1f}, {:.1f}]\n",
             100.0 * std::max(1.0 / best.median - 1.0, 0.0), rivals.size(),
             100.0 * (1.0 / best.high - 1.0), 100.0 * (1.0 / best.low - 1.0));
}

}  // namespace tessera::cli
