// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_refiner.hpp"

#include <algorithm>
#include <limits>

#include "framework/tuning/plan/cost_source.hpp"

namespace tessera {

using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;

namespace {

// Goes of that; a plan that has no rest then is as good as timing can tell.
constexpr uint32_t kMostGoes = 3;

// A cell may be that much dearer than the one chosen and still be as good: a
// machine that steps between two speeds was seen to favour one precision by so
// much in one, and another in the other.
constexpr double kClose = 1.2;

// What takes longer to run is left as it is: a second go takes too long, and a
// long run has its loud moments in it.
constexpr double kLongSecondGoNs = 2.5e8;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void CostRefiner::note(const CostPlace& place, const SegmentCost& cost) {
  kept_.note(place, cost);
  timed_.note(place, cost);
}

// What a plan uses of devices that have a clock here.  Segments without linears
// are the same in any scheme.
std::set<CostPlace> CostRefiner::used_untimed(
    const planner::Assignment& assignment, const Problem& problem) const {
  std::set<CostPlace> places;
  for (size_t g = 0; g < assignment.segments.size(); ++g) {
    const auto& segment = assignment.segments[g];
    const planner::SegmentModel& model = problem.segments[g];
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const uint32_t device = segment.devices[phase];
      if (problem.devices[device].simulated) continue;
      for (size_t i = 0; i < model.linears.size(); ++i) {
        const Cell& cell = problem.linear_classes[model.linears[i].linear_class]
                               .cells[segment.linears[i].cells[phase]];
        if (cell.costs[phase] && is_untimed(*cell.costs[phase])) {
          places.insert({model.segment_class, device, cell.scheme});
        }
      }
      const auto& own = problem.segment_classes[model.segment_class]
                            .sites[segment.sites[phase]]
                            .costs[phase];
      if (model.linears.empty() && own && is_untimed(*own)) {
        places.insert({model.segment_class, device, 0});
      }
    }
  }
  return places;
}

Result<uint32_t> CostRefiner::measure_used(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  const std::set<CostPlace> used = used_untimed(assignment, problem);
  const std::set<CostPlace> sentinels =
      kept_.choose_sentinels(assignment, problem);
  std::vector<TimedCell> cells;
  // Sentinels first: they say what else is worth the time.
  for (const std::set<CostPlace>* places : {&sentinels, &used}) {
    for (const CostPlace& place : *places)
      cells.push_back(classes_.cell_of(place));
  }
  TSR_RETURN_IF_ERROR(probe_.time_together(cells, is_late));
  TSR_ASSIGN_OR_RETURN(const std::set<uint32_t> drifted,
                       kept_.check(sentinels, problem));
  for (const uint32_t device : drifted) timed_.forget_kept(device);
  std::set<CostPlace> taken = used;
  for (const CostPlace& place : sentinels) {
    // One that does not run among its neighbours tells nothing.
    if (!is_late()) kept_.pass(place.device);
    // While kept times hold, the same plan comes of them again.
    if (drifted.contains(place.device)) taken.insert(place);
  }
  TSR_ASSIGN_OR_RETURN(const uint32_t num_timed,
                       take_places(taken, is_late, problem));
  return static_cast<uint32_t>(drifted.size()) + num_timed;
}

// What linears of the plan could be in as well, by what was timed.
std::set<Placement> CostRefiner::close_to(const planner::Assignment& assignment,
                                          const Problem& problem) const {
  const auto both_phases = [&](const std::array<const Cell*, 2>& cells) {
    double ns = 0.0;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const auto& cost = cells[phase]->costs[phase];
      if (!cost || is_untimed(*cost)) return kInfinity;
      ns += work_ns(problem, phase, cost->ns);
    }
    return ns;
  };
  std::set<Placement> close;
  for (size_t g = 0; g < assignment.segments.size(); ++g) {
    for (size_t i = 0; i < problem.segments[g].linears.size(); ++i) {
      const auto& cells =
          problem.linear_classes[problem.segments[g].linears[i].linear_class]
              .cells;
      const auto& chosen = assignment.segments[g].linears[i].cells;
      const double least =
          both_phases({&cells[chosen[kPrefill]], &cells[chosen[kDecode]]});
      for (const Cell& cell : cells) {
        if (problem.devices[cell.host].simulated) continue;
        if (both_phases({&cell, &cell}) > kClose * least) continue;
        close.insert({cell.host, cell.scheme});
      }
    }
  }
  return close;
}

// Whether its linears cost what was timed now: a sentinel that was timed beside
// kept times that hold changes nothing.
bool CostRefiner::counts_now(const CostPlace& place,
                             const Problem& problem) const {
  const std::vector<Cell>& cells =
      problem.linear_classes[classes_.first_linear[place.index]].cells;
  return std::any_of(cells.begin(), cells.end(), [&](const Cell& cell) {
    return cell.host == place.device && cell.scheme == place.scheme &&
           cell.costs[kDecode] && is_measured(*cell.costs[kDecode]);
  });
}

// What was timed a few seconds ago was timed on another machine, as far as it
// goes for a percent, and of many prices the solver finds those that luck made
// low.
Result<uint32_t> CostRefiner::measure_close(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  const std::set<Placement> close = close_to(assignment, problem);
  const size_t num_before = told_apart_.size();
  told_apart_.insert(close.begin(), close.end());
  std::vector<TimedCell> cells;
  std::set<CostPlace> places;
  bool any_new = false;
  for (const auto& [device, scheme] : told_apart_) {
    for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
      if (classes_.segments[index]->weights.empty()) continue;
      const CostPlace place{index, device, scheme};
      const TimedCell cell = classes_.cell_of(place);
      const bool ran = probe_.has_timed(cell);
      if (ran && probe_.run_ns(cell) > kLongSecondGoNs) continue;
      any_new = any_new || counts_now(place, problem);
      places.insert(place);
      cells.push_back(cell);
    }
  }
  const bool is_told_apart = told_apart_.size() == num_before;
  if (is_told_apart || told_apart_.size() < 2 || !any_new) return 0U;
  if (++num_goes_ > kMostGoes) return 0U;
  TSR_RETURN_IF_ERROR(probe_.time_against(cells, is_late));
  return take_places(places, is_late, problem);
}

// The quickest runs first, so that time goes a long way.
Status CostRefiner::measure_rest(const std::function<bool()>& is_late,
                                 Problem& problem) {
  std::map<Placement, std::set<CostPlace>> places;
  std::map<Placement, double> ns;
  for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
    for (size_t i = 0; i < classes_.segments[index]->weights.size(); ++i) {
      for (const Cell& cell :
           problem.linear_classes[classes_.first_linear[index] + i].cells) {
        if (problem.devices[cell.host].simulated) continue;
        const Placement placement{cell.host, cell.scheme};
        for (const uint32_t phase : {kPrefill, kDecode}) {
          if (!cell.costs[phase] || !is_untimed(*cell.costs[phase])) continue;
          places[placement].insert({index, cell.host, cell.scheme});
          ns[placement] += work_ns(problem, phase, cell.costs[phase]->ns);
        }
      }
    }
  }
  std::vector<Placement> order;
  order.reserve(places.size());
  for (const auto& [placement, all] : places) order.push_back(placement);
  std::stable_sort(
      order.begin(), order.end(),
      [&](const Placement& a, const Placement& b) { return ns[a] < ns[b]; });
  for (const Placement& placement : order) {
    if (is_late()) return {};
    std::vector<TimedCell> cells;
    cells.reserve(places[placement].size());
    for (const CostPlace& place : places[placement]) {
      cells.push_back(classes_.cell_of(place));
    }
    TSR_RETURN_IF_ERROR(probe_.time_together(cells, is_late));
    TSR_RETURN_IF_ERROR(
        take_places(places[placement], is_late, problem).status());
  }
  return {};
}

// All kinds of segment where the plan has linears, and its segments without.
std::set<CostPlace> CostRefiner::timed_with(
    const planner::Assignment& assignment, const Problem& problem) const {
  std::set<Placement> placements;
  std::set<std::pair<uint32_t, uint32_t>> bare;  // segment class, device
  for (size_t g = 0; g < assignment.segments.size(); ++g) {
    const planner::SegmentModel& model = problem.segments[g];
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const uint32_t device = assignment.segments[g].devices[phase];
      if (problem.devices[device].simulated) continue;
      if (model.linears.empty()) bare.insert({model.segment_class, device});
      for (size_t i = 0; i < model.linears.size(); ++i) {
        const uint32_t chosen = assignment.segments[g].linears[i].cells[phase];
        const Cell& cell =
            problem.linear_classes[model.linears[i].linear_class].cells[chosen];
        placements.insert({device, cell.scheme});
      }
    }
  }
  std::set<CostPlace> places;
  for (const auto& [device, scheme] : placements) {
    for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
      if (classes_.segments[index]->weights.empty()) continue;
      places.insert({index, device, scheme});
    }
  }
  // In any scheme they are the same.
  for (const auto& [index, device] : bare) {
    const auto known =
        std::find_if(placements.begin(), placements.end(),
                     [device = device](const Placement& placement) {
                       return placement.first == device;
                     });
    places.insert(
        {index, device, known == placements.end() ? 0 : known->second});
  }
  return places;
}

Status CostRefiner::measure_again(const planner::Assignment& assignment,
                                  Problem& problem) {
  return take_anew(timed_with(assignment, problem), problem);
}

// Whatever was timed of them before; in one go.
Status CostRefiner::take_anew(const std::set<CostPlace>& places,
                              Problem& problem) {
  std::vector<TimedCell> cells;
  cells.reserve(places.size());
  for (const CostPlace& place : places) {
    cells.push_back(classes_.cell_of(place));
  }
  TSR_RETURN_IF_ERROR(probe_.time_against(cells, [] { return false; }));
  for (const CostPlace& place : places) {
    if (!probe_.has_timed(classes_.cell_of(place))) continue;
    TSR_RETURN_IF_ERROR(take_times(place, problem));
  }
  return {};
}

// Devices share the machine, so what is not timed anew has changed by as much
// as the plan.
Status CostRefiner::measure_anew(const planner::Assignment& assignment,
                                 const std::array<double, 2>& ratio,
                                 Problem& problem) {
  std::set<CostPlace> places = timed_with(assignment, problem);
  for (const auto& [device, scheme] : told_apart_) {
    for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
      if (classes_.segments[index]->weights.empty()) continue;
      places.insert({index, device, scheme});
    }
  }
  timed_.forget_all();
  num_goes_ = 0;
  for (uint32_t device = 0; device < problem.devices.size(); ++device) {
    if (problem.devices[device].simulated) continue;
    doubt_times(device, ratio, problem);
    probe_.distrust(*classes_.inputs.devices[device]);
  }
  return take_anew(places, problem);
}

// What was timed goes where the estimates were, with all other kinds of segment
// that were timed beside it.
//
// Returns  how many of `places`
Result<uint32_t> CostRefiner::take_places(const std::set<CostPlace>& places,
                                          const std::function<bool()>& is_late,
                                          Problem& problem) {
  uint32_t num_taken = 0;
  std::set<Placement> windows;
  for (const CostPlace& place : places) {
    if (probe_.has_timed(classes_.cell_of(place))) {
      windows.insert({place.device, place.scheme});
    } else if (is_late()) {
      continue;
    } else {
      TSR_RETURN_IF_ERROR(take_times(place, problem));
    }
    ++num_taken;
  }
  for (const auto& [device, scheme] : windows) {
    for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
      const CostPlace place{index, device, scheme};
      const bool is_other_scheme =
          classes_.segments[index]->weights.empty() && scheme != 0;
      if (is_other_scheme || !probe_.has_timed(classes_.cell_of(place)))
        continue;
      TSR_RETURN_IF_ERROR(take_times(place, problem));
    }
  }
  return num_taken;
}

Status CostRefiner::take_times(const CostPlace& place, Problem& problem) {
  const TimedCell cell = classes_.cell_of(place);
  TSR_ASSIGN_OR_RETURN(const SegmentCost cost,
                       probe_.probe(cell.device, *cell.segment, *cell.scheme));
  if (!cost.refusal.empty()) return take_singly(place, problem);
  timed_.note(place, cost);
  timed_.put(place.index, place.device, classes_, problem);
  return {};
}

// A scheme that some linear of the segment cannot run in after all: each by
// itself, and that one is refused.
Status CostRefiner::take_singly(const CostPlace& place, Problem& problem) {
  const TimedCell timed_cell = classes_.cell_of(place);
  GraphSegment one = *timed_cell.segment;
  const std::vector<uint32_t> weights = one.weights;
  for (size_t i = 0; i < weights.size(); ++i) {
    LinearClass& entry =
        problem.linear_classes[classes_.first_linear[place.index] + i];
    for (Cell& cell : entry.cells) {
      if (cell.host != place.device || cell.scheme != place.scheme) continue;
      one.weights = {weights[i]};
      TSR_ASSIGN_OR_RETURN(
          const SegmentCost cost,
          probe_.probe(timed_cell.device, one, *timed_cell.scheme));
      take_site(cost, place.index, place.device, problem);
      take_cell(cost, place.index, weights[i], cell, entry, problem);
    }
  }
  return {};
}

}  // namespace tessera
