// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/problem_costs.hpp"

#include <algorithm>

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

// A kept time is that much better at most than its device's drift says.
constexpr double kStaleOptimism = 0.8;

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

}  // namespace

PhaseCosts costs_beside(const std::array<std::optional<Cost>, 2>& own,
                        const SegmentCost& timed, const LinearCost& linear) {
  PhaseCosts costs = linear.costs;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const Cost& now = timed.own[phase];
    if (!own[phase] || is_estimate(*own[phase]) || is_estimate(now)) continue;
    double all = 0.0;
    for (const LinearCost& one : timed.linears) all += one.costs[phase].ns;
    if (all <= 0.0) continue;
    costs[phase].ns *= std::max(all + now.ns - own[phase]->ns, 0.0) / all;
  }
  return costs;
}

void take_cell(const SegmentCost& timed, uint32_t index, uint32_t weight,
               Cell& cell, LinearClass& entry, const Problem& problem) {
  if (!timed.refusal.empty()) {
    entry.refusals.push_back(
        {cell.host, problem.schemes[cell.scheme], timed.refusal});
    cell.costs = {};
    return;
  }
  const auto& sites = problem.segment_classes[index].sites;
  const auto site = std::find_if(
      sites.begin(), sites.end(),
      [&cell](const planner::Site& s) { return s.device == cell.host; });
  for (const LinearCost& linear : timed.linears) {
    if (linear.weight != weight) continue;
    const PhaseCosts costs = site == sites.end()
                                 ? linear.costs
                                 : costs_beside(site->costs, timed, linear);
    cell.costs = {costs[kPrefill], costs[kDecode]};
    cell.kernel = linear.kernel;
  }
}

void take_site(const SegmentCost& timed, uint32_t index, uint32_t device,
               Problem& problem) {
  if (!timed.refusal.empty()) return;
  for (planner::Site& site : problem.segment_classes[index].sites) {
    if (site.device != device) continue;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      std::optional<Cost>& known = site.costs[phase];
      if (!known || is_untimed(*known)) known = timed.own[phase];
    }
  }
}

void put_site(const SegmentCost& timed, uint32_t index, uint32_t device,
              Problem& problem) {
  for (planner::Site& site : problem.segment_classes[index].sites) {
    if (site.device != device) continue;
    site.costs = {timed.own[kPrefill], timed.own[kDecode]};
  }
}

void keep_least(const SegmentCost& cost, std::optional<SegmentCost>& own) {
  if (!own) {
    own = cost;
    return;
  }
  // What was timed is not lowered by what is only estimated.
  const bool was_timed = !is_estimate(own->own[kPrefill]);
  const bool is_timed = !is_estimate(cost.own[kPrefill]);
  if (was_timed != is_timed) {
    if (is_timed) own = cost;
    return;
  }
  for (const uint32_t phase : {kPrefill, kDecode}) {
    Cost& known = own->own[phase];
    const uint64_t workspace_bytes =
        std::max(known.workspace_bytes, cost.own[phase].workspace_bytes);
    if (cost.own[phase].ns < known.ns) known = cost.own[phase];
    known.workspace_bytes = workspace_bytes;
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

void doubt_times(uint32_t device, const std::array<double, 2>& ratio,
                 Problem& problem) {
  for_each_cost(problem, [&](uint32_t host, uint32_t, Cost& cost) {
    if (host == device && is_measured(cost)) cost.source = kKeptSource;
  });
  mark_stale(device, ratio, problem);
}

void end_stale_optimism(Problem& problem) {
  for_each_cost(problem, [](uint32_t, uint32_t, Cost& cost) {
    if (is_stale(cost)) cost.ns /= kStaleOptimism;
  });
}

void scale_estimates(double factor, Problem& problem) {
  for_each_cost(problem, [&](uint32_t device, uint32_t, Cost& cost) {
    if (!problem.devices[device].simulated && is_estimate(cost)) {
      cost.ns *= factor;
    }
  });
}

void scale_times(const std::array<double, 2>& ratio, Problem& problem) {
  for_each_cost(problem, [&](uint32_t device, uint32_t phase, Cost& cost) {
    if (!problem.devices[device].simulated) cost.ns *= ratio[phase];
  });
  const auto& out_bytes = problem.segments.front().out_bytes;
  for (planner::TransferCurve& curve : problem.transfers) {
    if (problem.devices[curve.from].simulated ||
        problem.devices[curve.to].simulated) {
      continue;
    }
    for (const uint32_t phase : {kPrefill, kDecode}) {
      curve.return_ns[phase] *= ratio[phase];
    }
    for (planner::TransferCurve::Point& point : curve.points) {
      point.ns *= ratio[point.bytes == out_bytes[kDecode] ? kDecode : kPrefill];
    }
  }
}

double work_ns(const Problem& problem, uint32_t phase, double ns) {
  return phase == kPrefill ? ns : ns * problem.workload.generate;
}

}  // namespace tessera
