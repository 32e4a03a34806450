// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/cost_refiner.hpp"

#include <array>
#include <optional>

namespace tessera {
namespace {

using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;
using planner::SegmentClass;

bool is_estimate(const std::optional<planner::Cost>& cost) {
  return cost && cost->source == "estimate";
}

// Schemes of the linears whose cells are estimates; without linears, any.
std::set<uint32_t> schemes_used(const Problem& problem, size_t g,
                                const planner::Assignment::Segment& segment,
                                uint32_t phase) {
  std::set<uint32_t> schemes;
  const planner::SegmentModel& model = problem.segments[g];
  for (size_t i = 0; i < model.linears.size(); ++i) {
    const Cell& cell = problem.linear_classes[model.linears[i].linear_class]
                           .cells[segment.linears[i].cells[phase]];
    if (is_estimate(cell.costs[phase])) schemes.insert(cell.scheme);
  }
  const planner::Site& site =
      problem.segment_classes[model.segment_class].sites[segment.sites[phase]];
  if (model.linears.empty() && is_estimate(site.costs[phase])) {
    schemes.insert(0);
  }
  return schemes;
}

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
      const planner::Cost& now = timed.own[phase];
      std::optional<planner::Cost>& known = site.costs[phase];
      if (!known || is_estimate(known) || now.ns < known->ns) known = now;
    }
  }
}

}  // namespace

void scale_estimates(double factor, Problem& problem) {
  const auto scale = [&](uint32_t device,
                         std::array<std::optional<planner::Cost>, 2>& costs) {
    if (problem.devices[device].simulated) return;
    for (auto& cost : costs) {
      if (is_estimate(cost)) cost->ns *= factor;
    }
  };
  for (SegmentClass& entry : problem.segment_classes) {
    for (planner::Site& site : entry.sites) scale(site.device, site.costs);
  }
  for (LinearClass& entry : problem.linear_classes) {
    for (Cell& cell : entry.cells) scale(cell.host, cell.costs);
  }
}

Result<uint32_t> CostRefiner::measure_used(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  uint32_t num_timed = 0;
  for (size_t g = 0; g < assignment.segments.size(); ++g) {
    const auto& segment = assignment.segments[g];
    const uint32_t index = problem.segments[g].segment_class;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      if (is_late()) return num_timed;
      TSR_ASSIGN_OR_RETURN(
          const bool timed,
          time_used(index, segment.devices[phase],
                    schemes_used(problem, g, segment, phase), problem));
      num_timed += timed ? 1 : 0;
    }
  }
  return num_timed;
}

// True if anything was timed.
Result<bool> CostRefiner::time_used(uint32_t index, uint32_t device,
                                    const std::set<uint32_t>& schemes,
                                    Problem& problem) {
  if (problem.devices[device].simulated) return false;
  for (const uint32_t scheme : schemes) {
    const GraphSegment& segment = *segments_[index];
    TSR_ASSIGN_OR_RETURN(SegmentCost cost,
                         probe_.probe(inputs_.devices[device], segment,
                                      inputs_.schemes[scheme]));
    TSR_RETURN_IF_ERROR(take_times(index, device, scheme, cost, problem));
  }
  return !schemes.empty();
}

// What was timed goes where the estimates were; what cannot run after all is
// refused.
Status CostRefiner::take_times(uint32_t index, uint32_t device, uint32_t scheme,
                               const SegmentCost& cost, Problem& problem) {
  const GraphSegment& segment = *segments_[index];
  for (size_t i = 0; i < segment.weights.size(); ++i) {
    LinearClass& entry = problem.linear_classes[first_linear_[index] + i];
    for (Cell& cell : entry.cells) {
      if (cell.host != device || cell.scheme != scheme) continue;
      SegmentCost single;
      const SegmentCost* timed = &cost;
      if (!cost.refusal.empty()) {
        GraphSegment one = segment;
        one.weights = {segment.weights[i]};
        TSR_ASSIGN_OR_RETURN(single, probe_.probe(inputs_.devices[device], one,
                                                  inputs_.schemes[scheme]));
        timed = &single;
      }
      take_cell(*timed, segment.weights[i], cell, entry, problem);
      take_site(*timed, index, device, problem);
    }
  }
  if (segment.weights.empty()) {
    take_site(cost, index, device, problem);
  }
  return {};
}

}  // namespace tessera
