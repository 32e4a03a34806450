// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/challenge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "framework/cli/plan/plan_race.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/table.hpp"
#include "framework/planner/rivals.hpp"

namespace tessera::cli {
namespace {

using bench::MedianInterval;
using planner::Rival;

// Known to a percent to either side, or slower beyond chance by as much as two.
constexpr double kSettled = 0.02;

// Who is half as slow again has no chance to be among the fastest, and who is
// three times as slow in a shorter run is not made to run.
constexpr RaceLength kScreening{1, 3, 1.5, 3.0};
constexpr RaceLength kFinal{6, 2, 0.0, 0.0, kSettled};
constexpr RaceLength kConfirmation{12, 2, 0.0, 0.0, kSettled};
constexpr size_t kFinalists = 8;
// Who took so many times the plan's time is none, but for the fastest.
constexpr double kStillGood = 1.15;
constexpr size_t kConfirmed = 3;
// Plans that are loaded at once.
constexpr size_t kAtOnce = 7;

// A rival, and its time to the plan's.
struct Placing {
  const Rival* rival = nullptr;
  MedianInterval ratio;
};

// How many of `rivals` from `begin` on are loaded together.
size_t slice_end(const std::vector<const Rival*>& rivals, size_t begin,
                 uint64_t bytes_at_once) {
  uint64_t bytes = 0;
  size_t end = begin;
  while (end < rivals.size() && end - begin < kAtOnce) {
    for (const auto& [pool, count] : rivals[end]->prediction.memory) {
      bytes += count;
    }
    if (end > begin && bytes > bytes_at_once) break;
    ++end;
  }
  return end;
}

MedianInterval ratio_of(const Contender& one, const Contender& own) {
  if (!one.hopeless) return bench::median_interval(time_ratios(one, own));
  const double ratio = *one.hopeless;
  return {ratio, ratio, ratio, ratio};
}

// Fastest first.
Result<std::vector<Placing>> race_all(PlanRace& race, Contender& own,
                                      const std::vector<const Rival*>& rivals,
                                      const RaceLength& length,
                                      const char* what) {
  Progress progress(what);
  std::vector<Placing> placings;
  size_t begin = 0;
  while (begin < rivals.size()) {
    const size_t end = slice_end(rivals, begin, race.bytes_at_once());
    std::vector<Contender> slice;
    for (size_t i = begin; i < end; ++i) {
      Contender one;
      one.name = rivals[i]->kind + " " + rivals[i]->detail;
      one.assignment = rivals[i]->assignment;
      slice.push_back(std::move(one));
    }
    own.total.clear();
    std::vector<Contender*> all = {&own};
    for (Contender& one : slice) all.push_back(&one);
    TSR_RETURN_IF_ERROR(race.run(all, length));
    for (size_t i = begin; i < end; ++i) {
      placings.push_back({rivals[i], ratio_of(slice[i - begin], own)});
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

std::vector<const Rival*> first_of(const std::vector<Placing>& placings,
                                   size_t count) {
  std::vector<const Rival*> rivals;
  for (size_t i = 0; i < std::min(count, placings.size()); ++i) {
    if (i > 0 && placings[i].ratio.median > kStillGood) break;
    rivals.push_back(placings[i].rival);
  }
  return rivals;
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

std::string placings_text(const PlanRace& race, const Contender& own,
                          const std::vector<Placing>& placings,
                          const char* what) {
  Table table({{what},
               {"predicted to ours", Align::kRight},
               {"measured to ours", Align::kRight}});
  for (const Placing& one : placings) {
    table.add_row(
        {one.rival->kind + " " + one.rival->detail,
         fmt::format("{:.3f}", race.predicted_ns(one.rival->prediction) /
                                   race.predicted_ns(own.prediction)),
         ratio_text(one.ratio)});
  }
  return table.text();
}

}  // namespace

Result<std::string> challenge_plan(const PlanCommandOptions& options,
                                   const PlanInputs& inputs,
                                   const planner::Problem& problem,
                                   const planner::MadePlan& made,
                                   const planner::SolveLimits& limits) {
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Rival> rivals,
      planner::find_rivals(problem, made,
                           {options.challenge, 2 * options.challenge}, limits));
  if (rivals.empty()) return std::string("no other plan keeps the limits\n");
  PlanRace race(inputs, problem);
  TSR_ASSIGN_OR_RETURN(Contender own, own_contender(problem, made));
  std::vector<const Rival*> all;
  all.reserve(rivals.size());
  for (const Rival& rival : rivals) all.push_back(&rival);
  TSR_ASSIGN_OR_RETURN(const std::vector<Placing> screened,
                       race_all(race, own, all, kScreening, "challenge"));
  TSR_ASSIGN_OR_RETURN(const std::vector<Placing> finalists,
                       race_all(race, own, first_of(screened, kFinalists),
                                kFinal, "challenge: the fastest again"));
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Placing> confirmed,
      race_all(race, own, first_of(finalists, kConfirmed), kConfirmation,
               "challenge: the best once more"));
  const MedianInterval& best = confirmed.front().ratio;
  return kinds_text(screened) + "\n" +
         placings_text(race, own, finalists, "fastest again") + "\n" +
         placings_text(race, own, confirmed, "best once more") +
         fmt::format(
             "\nthe plan takes {:.1f} % more than the best of {} "
             "others [{:.1f}, {:.1f}]\n",
             100.0 * std::max(1.0 / best.median - 1.0, 0.0), rivals.size(),
             100.0 * (1.0 / best.high - 1.0), 100.0 * (1.0 / best.low - 1.0));
}

}  // namespace tessera::cli
