// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/challenge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "framework/cli/console.hpp"
#include "framework/cli/figures.hpp"
#include "framework/cli/plan/challenge_forecast.hpp"
#include "framework/cli/plan/race_rules.hpp"
#include "framework/cli/progress.hpp"
#include "framework/cli/table.hpp"
#include "framework/planner/rivals.hpp"

namespace tessera::cli {
namespace {

using bench::MedianInterval;
using planner::Rival;

// Known to a percent to either side, or slower beyond chance by as much as two.
constexpr double kSettled = 0.02;

constexpr Screening kScreening;
constexpr RaceLength kFinal{6, 2, kSettled};
constexpr RaceLength kConfirmation{12, 2, kSettled};
constexpr size_t kConfirmed = 3;
// Plans that are loaded at once.
constexpr size_t kAtOnce = 7;

// Of the time there is, what screening may take, and it and the finals.
constexpr double kScreeningShare = 0.6;
constexpr double kFinalsShare = 0.8;

// A rival, and its time to the plan's.
struct Placing {
  const Rival* rival = nullptr;
  MedianInterval ratio;
  bool gives_way = false;  // the plan, to this one
};

std::string name_of(const Rival& rival) {
  return rival.kind + " " + rival.detail;
}

using Rivals = std::vector<const Rival*>;

// The few that are not made up first; of the others each kind as often in any
// part of the list, for time may end before the list does.
Rivals in_fair_order(const std::vector<Rival>& rivals) {
  std::map<std::string, double> counts;
  for (const Rival& rival : rivals) ++counts[rival.kind];
  std::map<std::string, double> seen;
  std::vector<std::pair<double, const Rival*>> order;
  for (const Rival& rival : rivals) {
    const bool made_up = rival.kind == "random" || rival.kind == "move";
    const double place = ++seen[rival.kind] / counts[rival.kind];
    order.emplace_back(made_up ? place : 0.0, &rival);
  }
  std::stable_sort(
      order.begin(), order.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  Rivals result;
  result.reserve(order.size());
  for (const auto& [place, rival] : order) result.push_back(rival);
  return result;
}

std::vector<Contender> contenders_of(const Rivals& rivals) {
  std::vector<Contender> contenders;
  contenders.reserve(rivals.size());
  for (const Rival* rival : rivals) {
    Contender one;
    one.name = name_of(*rival);
    one.assignment = rival->assignment;
    contenders.push_back(std::move(one));
  }
  return contenders;
}

std::vector<Contender*> pointers_to(std::vector<Contender>& contenders) {
  std::vector<Contender*> pointers;
  pointers.reserve(contenders.size());
  for (Contender& one : contenders) pointers.push_back(&one);
  return pointers;
}

void sort_placings(std::vector<Placing>& placings) {
  std::stable_sort(placings.begin(), placings.end(),
                   [](const Placing& a, const Placing& b) {
                     return a.ratio.median < b.ratio.median;
                   });
}

class Challenge {
 public:
  Challenge(PlanRace& race, const planner::Problem& problem, Contender own,
            double seconds)
      : race_(race),
        problem_(problem),
        own_(std::move(own)),
        seconds_(seconds) {}

  const Contender& own() const { return own_; }

  // All of `rivals` that there is time for; the fastest first.
  Result<std::vector<Placing>> screen(const Rivals& rivals) {
    TSR_ASSIGN_OR_RETURN(const double load_ns, race_.begin_screening(own_));
    say_how_long(rivals, load_ns);
    Progress progress("challenge");
    std::vector<Placing> placings;
    size_t begin = 0;
    while (begin < rivals.size() && !is_late(kScreeningShare)) {
      const size_t end = slice_end(rivals, begin);
      const Rivals slice(rivals.begin() + static_cast<long>(begin),
                         rivals.begin() + static_cast<long>(end));
      std::vector<Contender> contenders = contenders_of(slice);
      TSR_RETURN_IF_ERROR(race_.screen(pointers_to(contenders), kScreening));
      for (size_t i = 0; i < slice.size(); ++i) {
        placings.push_back({slice[i], screened_ratio(contenders[i]), false});
      }
      begin = end;
      progress.update(static_cast<double>(begin) /
                      static_cast<double>(rivals.size()));
    }
    race_.end_screening();
    sort_placings(placings);
    return placings;
  }

  // All at once, as many loads as there is time for.
  Result<std::vector<Placing>> run(const Rivals& rivals,
                                   const RaceLength& length, double share,
                                   const char* what) {
    Progress progress(what);
    std::vector<Contender> contenders = contenders_of(rivals);
    own_.total.clear();
    own_.loads.clear();
    std::vector<Contender*> all = pointers_to(contenders);
    all.insert(all.begin(), &own_);
    TSR_RETURN_IF_ERROR(race_.run(all, length, [&] { return is_late(share); }));
    std::vector<Placing> placings;
    for (size_t i = 0; i < rivals.size(); ++i) {
      const std::vector<double> ratios =
          ratios_of(contenders[i].loads, own_.loads);
      const auto known = interval_at_any_look({ratios, length.loads});
      placings.push_back({rivals[i],
                          known.value_or(bench::median_interval(ratios)),
                          gives_way(ratios, known)});
    }
    sort_placings(placings);
    return placings;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool is_late(double share) const {
    if (seconds_ <= 0.0) return false;
    return std::chrono::duration<double>(Clock::now() - begin_).count() >
           share * seconds_;
  }

  MedianInterval screened_ratio(const Contender& one) const {
    if (!one.hopeless) {
      return bench::median_interval(ratios_of(one.total, own_.total));
    }
    const double ratio = *one.hopeless;
    return {ratio, ratio, ratio, ratio};
  }

  // How many from `begin` on are loaded together.
  size_t slice_end(const Rivals& rivals, size_t begin) const {
    WeightsSeen seen(problem_);
    uint64_t bytes = 0;
    size_t end = begin;
    while (end < rivals.size() && end - begin < kAtOnce) {
      bytes += seen.add(rivals[end]->assignment);
      if (end > begin && bytes > race_.bytes_at_once()) break;
      ++end;
    }
    return end;
  }

  void say_how_long(const Rivals& rivals, double load_ns) const {
    ChallengeWork work;
    work.screening = kScreening;
    work.at_once = kAtOnce;
    work.races = {{kScreening.finalists, kFinal}, {kConfirmed, kConfirmation}};
    work.own_load_ns = load_ns;
    const double ns = forecast(problem_, own_, rivals, work);
    write_err(fmt::format(
        "challenge: {} plans, about {}{}\n", rivals.size(), duration_text(ns),
        seconds_ > 0.0
            ? fmt::format(", no more than {}", duration_text(seconds_ * 1e9))
            : ""));
  }

  PlanRace& race_;
  const planner::Problem& problem_;
  Contender own_;
  double seconds_;
  Clock::time_point begin_ = Clock::now();
};

std::vector<const Rival*> first_of(const std::vector<Placing>& placings,
                                   size_t count) {
  std::vector<double> ratios;
  ratios.reserve(placings.size());
  for (const Placing& one : placings) ratios.push_back(one.ratio.median);
  std::vector<const Rival*> rivals;
  for (size_t i = 0; i < num_finalists(kScreening, count, ratios); ++i) {
    rivals.push_back(placings[i].rival);
  }
  return rivals;
}

std::string kinds_text(const Rivals& rivals,
                       const std::vector<Placing>& placings) {
  std::map<std::string, size_t> all;
  for (const Rival* rival : rivals) ++all[rival->kind];
  std::map<std::string, std::pair<size_t, double>> kinds;
  for (const Placing& one : placings) {
    auto& [count, best] = kinds[one.rival->kind];
    best = count == 0 ? one.ratio.median : std::min(best, one.ratio.median);
    ++count;
  }
  Table table(
      {{"plans"}, {"run", Align::kRight}, {"fastest to ours", Align::kRight}});
  for (const auto& [kind, found] : kinds) {
    table.add_row({kind, fmt::format("{} of {}", found.first, all[kind]),
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
        {name_of(*one.rival),
         fmt::format("{:.3f}", race.predicted_ns(one.rival->prediction) /
                                   race.predicted_ns(own.prediction)),
         ratio_text(one.ratio)});
  }
  return table.text();
}

}  // namespace

Result<RaceReport> challenge_plan(const PlanCommandOptions& options,
                                  const planner::Problem& problem,
                                  const planner::MadePlan& made,
                                  const planner::SolveLimits& limits,
                                  PlanRace& race) {
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Rival> found,
      planner::find_rivals(problem, made,
                           {options.challenge, 2 * options.challenge}, limits));
  if (found.empty()) {
    return RaceReport{"no other plan keeps the limits\n", {}};
  }
  const Rivals rivals = in_fair_order(found);
  TSR_ASSIGN_OR_RETURN(Contender own, own_contender(problem, made));
  Challenge challenge(race, problem, std::move(own), options.challenge_seconds);
  TSR_ASSIGN_OR_RETURN(const std::vector<Placing> screened,
                       challenge.screen(rivals));
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Placing> finalists,
      challenge.run(first_of(screened, kScreening.finalists), kFinal,
                    kFinalsShare, "challenge: the fastest again"));
  TSR_ASSIGN_OR_RETURN(
      const std::vector<Placing> confirmed,
      challenge.run(first_of(finalists, kConfirmed), kConfirmation, 1.0,
                    "challenge: the best once more"));
  const MedianInterval& best = confirmed.front().ratio;
  RaceReport report;
  report.text =
      kinds_text(rivals, screened) + "\n" +
      placings_text(race, challenge.own(), finalists, "fastest again") + "\n" +
      placings_text(race, challenge.own(), confirmed, "best once more") +
      fmt::format(
          "\nthe plan takes {:.1f} % more than the best of {} "
          "others [{:.1f}, {:.1f}]\n",
          100.0 * std::max(1.0 / best.median - 1.0, 0.0), screened.size(),
          100.0 * (1.0 / best.high - 1.0), 100.0 * (1.0 / best.low - 1.0));
  if (confirmed.front().gives_way) {
    const Rival& rival = *confirmed.front().rival;
    report.faster = {name_of(rival), rival.assignment, best};
  }
  return report;
}

}  // namespace tessera::cli
