// SPDX-License-Identifier: Apache-2.0
//
// Takes what was timed, now or before, to the ops of a segment.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/tuning/plan/cost_source.hpp"
#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

MeasuredSegment to_measured(const Graph& graph, const SegmentCost& cost) {
  MeasuredSegment measured{{{"", "", cost.own}}, cost.spread};
  for (const LinearCost& linear : cost.linears) {
    measured.parts.push_back({name_in_layer(graph.weights[linear.weight].name),
                              linear.kernel, linear.costs});
  }
  return measured;
}

// False if the parts are not those of the segment.
bool from_measured(const Graph& graph, const MeasuredSegment& measured,
                   const char* source, SegmentCost& cost) {
  if (measured.parts.size() != cost.linears.size() + 1) return false;
  for (size_t i = 0; i < cost.linears.size(); ++i) {
    LinearCost& linear = cost.linears[i];
    const MeasuredPart& part = measured.parts[i + 1];
    if (part.name != name_in_layer(graph.weights[linear.weight].name))
      return false;
    linear.costs = part.costs;
    linear.kernel = part.kernel;
  }
  cost.own = measured.parts.front().costs;
  cost.spread = measured.spread;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    cost.own[phase].source = source;
    for (LinearCost& linear : cost.linears) linear.costs[phase].source = source;
  }
  return true;
}

}  // namespace

Status CostProbe::measure(const Subject& subject, const Scheme& scheme,
                          SegmentCost& cost) {
  KindTimes alone;
  TSR_RETURN_IF_ERROR(time_together(
      {{subject.device, &subject.segment, &scheme}}, [] { return false; }));
  const KindTimes* times = timed_kind(*subject.device, subject.segment, scheme);
  if (times == nullptr) {
    TSR_RETURN_IF_ERROR(measure_alone(subject, alone));
    times = &alone;
  }
  cost.spread = times->spread;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const double runs = runs_of(subject.segment, phase);
    for (size_t op = 0; op < times->ns[phase].size(); ++op) {
      planner::Cost& into = cost_of(graph_, subject.lowered, op, phase, cost);
      into.ns += runs * times->ns[phase][op] / times->count;
      into.workspace_bytes = times->workspace_bytes;
      into.source = kMeasuredSource;
      const uint32_t weight = weight_of(graph_, subject.lowered, op);
      for (LinearCost& linear : cost.linears) {
        if (linear.weight == weight) linear.kernel = times->kernels[op];
      }
    }
    // Every step begins one program, whatever the plan.
    if (subject.segment.first == 0) {
      TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(subject.device));
      cost.own[phase].ns += runs * start_ns;
    }
  }
  return {};
}

CostKey CostProbe::base_key(const Device& device) const {
  const planner::Workload& work = options_.workload;
  CostKey key;
  key.device = device_fingerprint(device);
  key.threads = options_.threads;
  key.base =
      options_.base.name + " kv " + std::to_string(options_.base.kv_format);
  key.workload = fmt::format("prompt {} generate {} batch {} step {} of {}",
                             work.prompt, work.generate, work.batch,
                             step_tokens_, step_shape(kPrefill).num_seqs);
  return key;
}

CostKey CostProbe::key_of(const TimedCell& cell) const {
  CostKey key = base_key(*cell.device);
  key.segment = cell.segment->signature;
  // A subset of the linears is another subject.
  for (const uint32_t weight : cell.segment->weights) {
    key.segment += " " + name_in_layer(graph_.weights[weight].name);
  }
  key.scheme = cell.scheme->name;
  return key;
}

Result<bool> CostProbe::look_up(const Device& device, const CostKey& key,
                                SegmentCost& cost) {
  const auto timed =
      std::find_if(timed_.begin(), timed_.end(),
                   [&](const auto& entry) { return entry.first == key; });
  if (timed != timed_.end()) {
    return from_measured(graph_, timed->second, kMeasuredSource, cost);
  }
  if (options_.store == nullptr || options_.remeasure ||
      distrusted_.contains(&device)) {
    return false;
  }
  TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                       options_.store->find(key));
  return known && from_measured(graph_, *known, kKeptSource, cost);
}

Result<SegmentCost> CostProbe::timed_cost(const TimedCell& cell) {
  Subject subject{cell.device,
                  *cell.segment,
                  plan_for(*cell.device, *cell.segment, *cell.scheme),
                  {},
                  {},
                  {}};
  SegmentCost cost;
  TSR_RETURN_IF_ERROR(describe(subject));
  TSR_RETURN_IF_ERROR(find_bytes(subject, cost));
  TSR_RETURN_IF_ERROR(measure(subject, *cell.scheme, cost));
  return cost;
}

Result<bool> CostProbe::wants_timing(const TimedCell& cell) {
  const bool simulated = cell.device->info().clock == TSR_CLOCK_SIMULATED;
  if (simulated || options_.repeats == 0) return false;
  if (options_.store == nullptr || options_.remeasure) return true;
  TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                       options_.store->find(key_of(cell)));
  return !known;
}

Status CostProbe::find_times(const Subject& subject, const Scheme& scheme,
                             ProbeDepth depth, SegmentCost& cost) {
  const Device& device = *subject.device;
  const bool simulated = device.info().clock == TSR_CLOCK_SIMULATED;
  if (simulated || options_.repeats == 0) return estimate(subject, cost);
  const CostKey key = key_of({subject.device, &subject.segment, &scheme});
  // What was timed a moment ago is better than what is kept.
  if (timed_kind(device, subject.segment, scheme) == nullptr) {
    TSR_ASSIGN_OR_RETURN(const bool found, look_up(device, key, cost));
    if (found) {
      ++counts_.found;
      return {};
    }
    if (depth == ProbeDepth::kEstimate) {
      SegmentCost asked = cost;
      if (estimate(subject, asked).ok()) {
        cost = std::move(asked);
        return {};
      }
    }
  }
  TSR_RETURN_IF_ERROR(measure(subject, scheme, cost));
  return keep(key, cost);
}

// A loud minute is not to be kept for the next plan.
Status CostProbe::keep(const CostKey& key, const SegmentCost& cost) {
  const bool again =
      std::any_of(timed_.begin(), timed_.end(),
                  [&](const auto& entry) { return entry.first == key; });
  if (again) return {};
  MeasuredSegment measured = to_measured(graph_, cost);
  timed_.emplace_back(key, measured);
  ++counts_.measured;
  const bool busy = is_busy(measured);
  if (busy) ++counts_.busy;
  if (options_.store == nullptr || busy) return {};
  return options_.store->put(key, measured);
}

SpreadTime SegmentCost::total(uint32_t phase) const {
  SpreadTime sum{own[phase].ns, spread[phase]};
  for (const LinearCost& linear : linears) sum.ns += linear.costs[phase].ns;
  return sum;
}

}  // namespace tessera
