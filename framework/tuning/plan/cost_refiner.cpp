// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_refiner.hpp"

#include <algorithm>

#include "framework/tuning/plan/cost_source.hpp"

namespace tessera {

using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;

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

// What cannot run after all is refused.
Status CostRefiner::take_times(const CostPlace& place, Problem& problem) {
  const TimedCell timed_cell = classes_.cell_of(place);
  const GraphSegment& segment = *timed_cell.segment;
  TSR_ASSIGN_OR_RETURN(
      const SegmentCost cost,
      probe_.probe(timed_cell.device, segment, *timed_cell.scheme));
  for (size_t i = 0; i < segment.weights.size(); ++i) {
    LinearClass& entry =
        problem.linear_classes[classes_.first_linear[place.index] + i];
    for (Cell& cell : entry.cells) {
      if (cell.host != place.device || cell.scheme != place.scheme) continue;
      SegmentCost single;
      const SegmentCost* timed = &cost;
      if (!cost.refusal.empty()) {
        GraphSegment one = segment;
        one.weights = {segment.weights[i]};
        TSR_ASSIGN_OR_RETURN(
            single, probe_.probe(timed_cell.device, one, *timed_cell.scheme));
        timed = &single;
      }
      take_cell(*timed, segment.weights[i], cell, entry, problem);
      take_site(*timed, place.index, place.device, problem);
    }
  }
  if (segment.weights.empty()) {
    take_site(cost, place.index, place.device, problem);
  }
  return {};
}

}  // namespace tessera
