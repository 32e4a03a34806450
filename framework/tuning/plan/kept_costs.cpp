// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/kept_costs.hpp"

#include <algorithm>

#include "framework/tuning/plan/cost_source.hpp"

namespace tessera {
namespace {

using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

// Schemes of a device that are timed anew to tell whether the rest still holds.
constexpr size_t kSentinels = 2;

SpreadTime sum_of(const SpreadTime& a, const SpreadTime& b) {
  const double ns = a.ns + b.ns;
  if (ns <= 0.0) return a;
  return {ns,
          {(a.ns * a.spread.low + b.ns * b.spread.low) / ns,
           (a.ns * a.spread.high + b.ns * b.spread.high) / ns}};
}

}  // namespace

void KeptCosts::note(const CostPlace& place, const SegmentCost& cost) {
  if (!cost.refusal.empty() || !is_kept(cost.own[kPrefill])) return;
  kept_[{place.device, place.scheme}][place.index] = {cost.total(kPrefill),
                                                      cost.total(kDecode)};
}

// Of a device whose kept times the plan does not use: those of its fastest
// scheme.
CostPlace KeptCosts::least_kept(uint32_t device) const {
  CostPlace least{UINT32_MAX, device, 0};
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
std::set<CostPlace> KeptCosts::choose_sentinels(
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
  std::set<CostPlace> sentinels;
  for (const auto& [placement, kinds] : kept_) {
    const uint32_t device = placement.first;
    if (checked_.contains(device)) continue;
    std::vector<std::pair<double, CostPlace>> places;
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
Result<KeptCosts::Check> KeptCosts::check_sentinel(const CostPlace& sentinel) {
  Check check;
  for (const auto& [index, kept] :
       kept_.at({sentinel.device, sentinel.scheme})) {
    const TimedCell cell =
        classes_.cell_of({index, sentinel.device, sentinel.scheme});
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
Result<std::set<uint32_t>> KeptCosts::check(
    const std::set<CostPlace>& sentinels, Problem& problem) {
  std::map<uint32_t, Check> checks;  // by device
  for (const CostPlace& sentinel : sentinels) {
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
    probe_.distrust(*classes_.inputs.devices[device]);
    drifted.insert(device);
  }
  return drifted;
}

uint32_t KeptCosts::count_stale(uint32_t device, const Problem& problem) const {
  std::set<CostPlace> left;
  for (uint32_t index = 0; index < classes_.segments.size(); ++index) {
    for (const planner::Site& site : problem.segment_classes[index].sites) {
      if (!classes_.segments[index]->weights.empty() || site.device != device)
        continue;
      if (site.costs[kDecode] && is_stale(*site.costs[kDecode])) {
        left.insert({index, device, 0});
      }
    }
    for (size_t i = 0; i < classes_.segments[index]->weights.size(); ++i) {
      for (const Cell& cell :
           problem.linear_classes[classes_.first_linear[index] + i].cells) {
        if (cell.host == device && cell.costs[kDecode] &&
            is_stale(*cell.costs[kDecode])) {
          left.insert({index, device, cell.scheme});
        }
      }
    }
  }
  return static_cast<uint32_t>(left.size());
}

std::vector<CostDrift> KeptCosts::drifts(const Problem& problem) const {
  std::vector<CostDrift> result;
  result.reserve(drifts_.size());
  for (const auto& entry : drifts_) {
    result.push_back(entry.second);
    result.back().num_left = count_stale(entry.first, problem);
  }
  return result;
}

}  // namespace tessera
