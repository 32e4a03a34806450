// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/real_runs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "framework/cli/figures.hpp"
#include "framework/cli/plan/plan_race.hpp"
#include "framework/cli/plan/timed_again.hpp"
#include "framework/cli/table.hpp"
#include "framework/planner/baselines.hpp"

namespace tessera::cli {
namespace {

using bench::MedianInterval;

constexpr RaceLength kRuns{12, 1};

// Those that run, the plan first, and which of them each baseline is.
struct Field {
  std::vector<Contender> contenders;
  std::vector<std::vector<std::string>> names;  // of each contender
  std::vector<size_t> of_baseline;
};

Field make_field(Contender own,
                 const std::vector<planner::Baseline>& baselines) {
  Field field;
  field.names.push_back({own.name});
  field.contenders.push_back(std::move(own));
  for (const planner::Baseline& baseline : baselines) {
    if (!baseline.feasible) continue;
    auto& all = field.contenders;
    const auto known =
        std::find_if(all.begin(), all.end(), [&](const Contender& one) {
          return one.assignment == baseline.assignment;
        });
    const auto index = static_cast<size_t>(known - all.begin());
    field.of_baseline.push_back(index);
    if (known != all.end()) {
      field.names[index].push_back(baseline.name);
      continue;
    }
    field.names.push_back({baseline.name});
    Contender one;
    one.name = baseline.name;
    one.assignment = baseline.assignment;
    one.prediction = baseline.prediction;
    all.push_back(std::move(one));
  }
  return field;
}

std::string interval_text(const MedianInterval& found) {
  return fmt::format("{} [{}, {}]", duration_text(found.median),
                     duration_text(found.low), duration_text(found.high));
}

void add_rows(const PlanRace& race, const Contender& one,
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
  add("prefill", wall_ns(one.prediction.prefill_ns), one.prefill, "");
  add("decode step", wall_ns(one.prediction.decode_ns), one.decode, "");
  add("workload", race.predicted_ns(one.prediction), one.total, to_ours);
}

std::string runs_text(const PlanRace& race, const Field& field) {
  Table table({{"plan"},
               {"of"},
               {"predicted", Align::kRight},
               {"measured", Align::kRight},
               {"off by", Align::kRight},
               {"to ours", Align::kRight}});
  const Contender& own = field.contenders.front();
  for (const Contender& one : field.contenders) {
    const auto ratio = bench::median_interval(ratios_of(one.total, own.total));
    add_rows(race, one, ratio_text(ratio), table);
  }
  std::string text = table.text();
  for (const std::vector<std::string>& names : field.names) {
    if (names.size() == 1) continue;
    text += fmt::format("one plan: {}\n", fmt::join(names, ", "));
  }
  return text;
}

// Of the plans of baselines that are not the plan itself.
std::vector<FasterPlan> faster_than_ours(const Field& field) {
  const auto& all = field.contenders;
  std::vector<std::vector<double>> ratios;
  for (size_t i = 1; i < all.size(); ++i) {
    ratios.push_back(ratios_of(all[i].total, all.front().total));
  }
  std::vector<FasterPlan> faster;
  for (const size_t i : faster_beyond_chance(ratios)) {
    faster.push_back({all[i + 1].name, all[i + 1].assignment,
                      bench::median_interval(ratios[i])});
  }
  return faster;
}

std::string baselines_verdict(const Field& field,
                              const std::vector<FasterPlan>& faster) {
  if (field.of_baseline.empty()) return "";
  std::vector<double> medians;
  for (const size_t i : field.of_baseline) {
    medians.push_back(
        bench::median_interval(ratios_of(field.contenders[i].total,
                                         field.contenders.front().total))
            .median);
  }
  std::vector<std::string> names;
  names.reserve(faster.size());
  for (const FasterPlan& one : faster) names.push_back(one.name);
  return fmt::format(
      "measured, baselines take {:.3f} times ours in the median; {}\n",
      bench::quantile_of(medians, 0.5),
      names.empty()
          ? std::string("none is faster beyond chance")
          : fmt::format("faster beyond chance: {}", fmt::join(names, "; ")));
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

Result<RaceReport> run_for_real(const PlanCommandOptions& options,
                                const PlanInputs& inputs,
                                const planner::Problem& problem,
                                const planner::MadePlan& made,
                                const planner::SolveLimits& limits,
                                PlanRace& race) {
  std::vector<planner::Baseline> baselines;
  if (options.compare_baselines) {
    TSR_ASSIGN_OR_RETURN(baselines, planner::find_baselines(problem, limits));
  }
  TSR_ASSIGN_OR_RETURN(Contender own, own_contender(problem, made));
  Field field = make_field(std::move(own), baselines);
  std::vector<Contender*> all;
  all.reserve(field.contenders.size());
  for (Contender& one : field.contenders) all.push_back(&one);
  TimedAgain again(inputs, problem);
  TSR_RETURN_IF_ERROR(again.add(*all.front()));
  TSR_RETURN_IF_ERROR(race.run(all, kRuns));
  TSR_RETURN_IF_ERROR(again.add(*all.front()));
  const std::vector<FasterPlan> faster = faster_than_ours(field);
  RaceReport report{runs_text(race, field) + again.text(*all.front()) +
                        baselines_verdict(field, faster),
                    {}};
  if (!faster.empty()) report.faster = faster.front();
  return report;
}

}  // namespace tessera::cli
