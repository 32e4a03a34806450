// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_refiner.hpp"

#include <algorithm>
#include <optional>

#include "framework/tuning/plan/cost_source.hpp"

namespace tessera {
namespace {

using planner::Cell;
using planner::Cost;
using planner::kDecode;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;
using planner::SegmentClass;

// Schemes of a device that are timed anew to tell whether the rest still holds.
constexpr size_t kSentinels = 2;

// A kept time is that much better at most than its device's drift says.
constexpr double kStaleOptimism = 0.8;

void take_cell(const SegmentCost& timed, uint32_t weight, Cell& cell,
               LinearClass& entry, const Problem& problem) {
  if (!timed.refusal.empty()) {
    entry.refusals.push_back(
        {cell.host, problem.schemes[cell.scheme], timed.refusal});
    cell.costs = {};
    return;
  }
  for (const LinearCost& linear : timed.linears) {
    if (linear.weight != weight) continue;
    cell.costs = {linear.costs[kPrefill], linear.costs[kDecode]};
    cell.kernel = linear.kernel;
  }
}

void take_site(const SegmentCost& timed, uint32_t index, uint32_t device,
               Problem& problem) {
  if (!timed.refusal.empty()) return;
  for (planner::Site& site : problem.segment_classes[index].sites) {
    if (site.device != device) continue;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      const Cost& now = timed.own[phase];
      std::optional<Cost>& known = site.costs[phase];
      if (!known || is_untimed(*known) || now.ns < known->ns) known = now;
    }
  }
}

// Calls `change(device, phase, cost)` with all costs of linears and sites.
template <typename Change>
void for_each_cost(Problem& problem, const Change& change) {
  const auto visit = [&](uint32_t device,
                         std::array<std::optional<Cost>, 2>& costs) {
    for (const uint32_t phase : {kPrefill, kDecode}) {
      if (costs[phase]) change(device, phase, *costs[phase]);
    }
  };
  for (SegmentClass& entry : problem.segment_classes) {
    for (planner::Site& site : entry.sites) visit(site.device, site.costs);
  }
  for (LinearClass& entry : problem.linear_classes) {
    for (Cell& cell : entry.cells) visit(cell.host, cell.costs);
  }
}

void mark_stale(uint32_t device, const std::array<double, 2>& ratio,
                Problem& problem) {
  for_each_cost(problem, [&](uint32_t host, uint32_t phase, Cost& cost) {
    if (host != device || !is_kept(cost)) return;
    cost.ns *= ratio[phase] * kStaleOptimism;
    cost.source = kStaleSource;
  });
}

SpreadTime sum_of(const SpreadTime& a, const SpreadTime& b) {
  const double ns = a.ns + b.ns;
  if (ns <= 0.0) return a;
  return {ns,
          {(a.ns * a.spread.low + b.ns * b.spread.low) / ns,
           (a.ns * a.spread.high + b.ns * b.spread.high) / ns}};
}

// Of a workload.
double work_ns(const Problem& problem, uint32_t phase, double ns) {
  return phase == kPrefill ? ns : ns * problem.workload.generate;
}

}  // namespace

void scale_estimates(double factor, Problem& problem) {
  for_each_cost(problem, [&](uint32_t device, uint32_t, Cost& cost) {
    if (!problem.devices[device].simulated && is_estimate(cost)) {
      cost.ns *= factor;
    }
  });
}

TimedCell CostRefiner::cell_of(const Place& place) const {
  return {inputs_.devices[place.device], segments_[place.index],
          &inputs_.schemes[place.scheme]};
}

void CostRefiner::note(uint32_t index, uint32_t device, uint32_t scheme,
                       const SegmentCost& cost) {
  if (!cost.refusal.empty() || !is_kept(cost.own[kPrefill])) return;
  kept_[{device, scheme}][index] = {cost.total(kPrefill), cost.total(kDecode)};
}

// What a plan uses of devices that have a clock here.  Segments without linears
// are the same in any scheme.
std::set<CostRefiner::Place> CostRefiner::used_untimed(
    const planner::Assignment& assignment, const Problem& problem) const {
  std::set<Place> places;
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

// Of a device whose kept times the plan does not use: those of its fastest
// scheme.
CostRefiner::Place CostRefiner::least_kept(uint32_t device) const {
  Place least{UINT32_MAX, device, 0};
  std::pair<size_t, double> best{0, 0.0};  // kinds, minus their time
  for (const auto& [placement, kinds] : kept_) {
    if (placement.first != device) continue;
    double ns = 0.0;
    for (const auto& [index, times] : kinds) {
      ns += times[kPrefill].ns + times[kDecode].ns;
    }
    const std::pair<size_t, double> found{kinds.size(), -ns};
    if (least.index != UINT32_MAX && found <= best) continue;
    best = found;
    least = {kinds.rbegin()->first, device, placement.second};
  }
  return least;
}

// The schemes that carry most of the plan's time on each device not yet
// checked, where their times are kept ones.
std::set<CostRefiner::Place> CostRefiner::choose_sentinels(
    const planner::Assignment& assignment, const Problem& problem) const {
  std::map<uint32_t, std::map<uint32_t, std::pair<double, uint32_t>>> shares;
  for (size_t g = 0; g < assignment.segments.size(); ++g) {
    const planner::SegmentModel& model = problem.segments[g];
    for (size_t i = 0; i < model.linears.size(); ++i) {
      for (const uint32_t phase : {kPrefill, kDecode}) {
        const Cell& cell =
            problem.linear_classes[model.linears[i].linear_class]
                .cells[assignment.segments[g].linears[i].cells[phase]];
        if (!kept_.contains({cell.host, cell.scheme})) continue;
        auto& [ns, index] = shares[cell.host][cell.scheme];
        ns += work_ns(problem, phase, cell.costs[phase]->ns);
        index = model.segment_class;
      }
    }
  }
  std::set<Place> sentinels;
  for (const auto& [placement, kinds] : kept_) {
    const uint32_t device = placement.first;
    if (checked_.contains(device)) continue;
    std::vector<std::pair<double, Place>> places;
    for (const auto& [scheme, share] : shares[device]) {
      places.push_back({share.first, {share.second, device, scheme}});
    }
    std::sort(places.rbegin(), places.rend());
    if (places.empty()) places.push_back({0.0, least_kept(device)});
    if (places.size() > kSentinels) places.resize(kSentinels);
    for (const auto& [ns, place] : places) sentinels.insert(place);
  }
  return sentinels;
}

// Times a sentinel's kinds of segment took, as kept and as timed just now.
Result<CostRefiner::Check> CostRefiner::check_sentinel(const Place& sentinel) {
  Check check;
  for (const auto& [index, kept] :
       kept_.at({sentinel.device, sentinel.scheme})) {
    const TimedCell cell = cell_of({index, sentinel.device, sentinel.scheme});
    if (!probe_.has_timed(cell)) continue;
    TSR_ASSIGN_OR_RETURN(const SegmentCost cost, probe_.timed_cost(cell));
    for (const uint32_t phase : {kPrefill, kDecode}) {
      check.before[phase] = sum_of(check.before[phase], kept[phase]);
      check.now[phase] = sum_of(check.now[phase], cost.total(phase));
    }
  }
  for (const uint32_t phase : {kPrefill, kDecode}) {
    check.drifted =
        check.drifted || has_drifted(check.before[phase], check.now[phase]);
  }
  return check;
}

// Returns the devices that have drifted; what they have kept is stale then.
Result<std::set<uint32_t>> CostRefiner::check_sentinels(
    const std::set<Place>& sentinels, Problem& problem) {
  std::map<uint32_t, Check> checks;  // by device
  for (const Place& sentinel : sentinels) {
    TSR_ASSIGN_OR_RETURN(const Check found, check_sentinel(sentinel));
    if (found.now[kPrefill].ns <= 0.0) continue;
    Check& check = checks[sentinel.device];
    for (const uint32_t phase : {kPrefill, kDecode}) {
      check.before[phase].ns += found.before[phase].ns;
      check.now[phase].ns += found.now[phase].ns;
    }
    check.drifted = check.drifted || found.drifted;
  }
  std::set<uint32_t> drifted;
  for (const auto& [device, check] : checks) {
    checked_.insert(device);
    if (!check.drifted) continue;
    CostDrift& drift = drifts_[device];
    drift.device = problem.devices[device].name;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      if (check.before[phase].ns <= 0.0) continue;
      drift.ratio[phase] = check.now[phase].ns / check.before[phase].ns;
    }
    for (const auto& [placement, kinds] : kept_) {
      if (placement.first != device) continue;
      drift.num_kept += static_cast<uint32_t>(kinds.size());
    }
    mark_stale(device, drift.ratio, problem);
    probe_.distrust(*inputs_.devices[device]);
    drifted.insert(device);
  }
  return drifted;
}

Result<uint32_t> CostRefiner::measure_used(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  const std::set<Place> used = used_untimed(assignment, problem);
  const std::set<Place> sentinels = choose_sentinels(assignment, problem);
  std::vector<TimedCell> cells;
  // Sentinels first: they say what else is worth the time.
  for (const std::set<Place>* places : {&sentinels, &used}) {
    for (const Place& place : *places) cells.push_back(cell_of(place));
  }
  TSR_RETURN_IF_ERROR(probe_.time_together(cells, is_late));
  TSR_ASSIGN_OR_RETURN(const std::set<uint32_t> drifted,
                       check_sentinels(sentinels, problem));
  std::set<Place> taken = used;
  for (const Place& place : sentinels) {
    // One that does not run among its neighbours tells nothing.
    if (!is_late()) checked_.insert(place.device);
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
  std::map<Placement, std::set<Place>> places;
  std::map<Placement, double> ns;
  for (uint32_t index = 0; index < segments_.size(); ++index) {
    for (size_t i = 0; i < segments_[index]->weights.size(); ++i) {
      for (const Cell& cell :
           problem.linear_classes[first_linear_[index] + i].cells) {
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
    for (const Place& place : places[placement]) {
      cells.push_back(cell_of(place));
    }
    TSR_RETURN_IF_ERROR(probe_.time_together(cells, is_late));
    TSR_RETURN_IF_ERROR(
        take_places(places[placement], is_late, problem).status());
  }
  return {};
}

void CostRefiner::end_optimism(Problem& problem) const {
  scale_estimates(1.0 / kOptimism, problem);
  for_each_cost(problem, [](uint32_t, uint32_t, Cost& cost) {
    if (is_stale(cost)) cost.ns /= kStaleOptimism;
  });
}

uint32_t CostRefiner::count_stale(uint32_t device,
                                  const Problem& problem) const {
  std::set<Place> left;
  for (uint32_t index = 0; index < segments_.size(); ++index) {
    for (const planner::Site& site : problem.segment_classes[index].sites) {
      if (!segments_[index]->weights.empty() || site.device != device) continue;
      if (site.costs[kDecode] && is_stale(*site.costs[kDecode])) {
        left.insert({index, device, 0});
      }
    }
    for (size_t i = 0; i < segments_[index]->weights.size(); ++i) {
      for (const Cell& cell :
           problem.linear_classes[first_linear_[index] + i].cells) {
        if (cell.host == device && cell.costs[kDecode] &&
            is_stale(*cell.costs[kDecode])) {
          left.insert({index, device, cell.scheme});
        }
      }
    }
  }
  return static_cast<uint32_t>(left.size());
}

std::vector<CostDrift> CostRefiner::drifts(const Problem& problem) const {
  std::vector<CostDrift> result;
  result.reserve(drifts_.size());
  for (const auto& entry : drifts_) {
    result.push_back(entry.second);
    result.back().num_left = count_stale(entry.first, problem);
  }
  return result;
}

// What was timed goes where the estimates were, with all other kinds of segment
// that were timed beside it.
//
// Returns  how many of `places`
Result<uint32_t> CostRefiner::take_places(const std::set<Place>& places,
                                          const std::function<bool()>& is_late,
                                          Problem& problem) {
  uint32_t num_taken = 0;
  std::set<Placement> windows;
  for (const Place& place : places) {
    if (probe_.has_timed(cell_of(place))) {
      windows.insert({place.device, place.scheme});
    } else if (is_late()) {
      continue;
    } else {
      TSR_RETURN_IF_ERROR(take_times(place, problem));
    }
    ++num_taken;
  }
  for (const auto& [device, scheme] : windows) {
    for (uint32_t index = 0; index < segments_.size(); ++index) {
      const Place place{index, device, scheme};
      const bool is_other_scheme =
          segments_[index]->weights.empty() && scheme != 0;
      if (is_other_scheme || !probe_.has_timed(cell_of(place))) continue;
      TSR_RETURN_IF_ERROR(take_times(place, problem));
    }
  }
  return num_taken;
}

// What cannot run after all is refused.
Status CostRefiner::take_times(const Place& place, Problem& problem) {
  const TimedCell timed_cell = cell_of(place);
  const GraphSegment& segment = *timed_cell.segment;
  TSR_ASSIGN_OR_RETURN(
      const SegmentCost cost,
      probe_.probe(timed_cell.device, segment, *timed_cell.scheme));
  for (size_t i = 0; i < segment.weights.size(); ++i) {
    LinearClass& entry = problem.linear_classes[first_linear_[place.index] + i];
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
