// SPDX-License-Identifier: Apache-2.0
//
// Times what it takes to go from one device to another and back.

#include <algorithm>
#include <cstring>

#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Weights up to so many numbers of both sides stay in caches, so that only the
// change of device makes a difference.
constexpr uint64_t kHotWeights = uint64_t{2} << 20;

constexpr uint32_t kTurns = 4;

// What a session does between two stages: the step's arrays and the tensor.
void copy_between(Stage& from, Stage& to, uint64_t rows) {
  std::memcpy(to.arena(), from.arena(), from.arena_bytes());
  for (const BoundaryTensor& written : from.outputs()) {
    for (const BoundaryTensor& read : to.inputs()) {
      std::memcpy(read.memory, written.memory,
                  rows * std::min(written.row_bytes, read.row_bytes));
    }
  }
}

Result<double> time_turns(TimedStage& a, TimedStage& b, uint64_t rows) {
  double ns = 0.0;
  for (uint32_t turn = 0; turn < kTurns; ++turn) {
    for (TimedStage* stage : {&a, &b}) {
      TSR_ASSIGN_OR_RETURN(const double took, stage->time_run());
      ns += took;
    }
    if (&a == &b) continue;
    copy_between(a.stage(), b.stage(), rows);
    copy_between(b.stage(), a.stage(), rows);
  }
  return ns / (2 * kTurns);
}

}  // namespace

// A small segment on both in turns, beside the same on each by itself.
Result<std::array<double, 2>> CostProbe::measure_switch(
    const std::shared_ptr<Device>& from, const std::shared_ptr<Device>& to) {
  const auto found = std::find_if(
      segments_.begin(), segments_.end(), [](const GraphSegment& segment) {
        return segment.kv.empty() && !segment.weights.empty();
      });
  if (found == segments_.end()) {
    return Status(TSR_NOT_FOUND, "no segment without a KV cache");
  }
  uint64_t weights = 0;
  for (const uint32_t weight : found->weights) {
    weights += uint64_t{graph_.weights[weight].N} * graph_.weights[weight].K;
  }
  std::vector<TimedStage> stages;
  for (const std::shared_ptr<Device>& device : {from, to}) {
    OpRange range = found->range(device->name());
    if (weights > kHotWeights) range.last = range.first + 1;
    const Plan plan = plan_for(*device, *found, options_.base);
    TSR_ASSIGN_OR_RETURN(
        TimedStage stage,
        TimedStage::create(stage_inputs(plan), range, device, options_.timer));
    stages.push_back(std::move(stage));
  }
  std::array<double, 2> result{};
  for (const uint32_t phase : {kPrefill, kDecode}) {
    for (TimedStage& stage : stages) {
      stage.prepare(step_shape(phase), limits_.max_blocks_per_seq);
    }
    const uint64_t rows = step_shape(phase).num_tokens;
    std::vector<double> more;
    for (uint32_t run = 0; run <= 2 * options_.repeats; ++run) {
      TSR_ASSIGN_OR_RETURN(const double a,
                           time_turns(stages[0], stages[0], rows));
      TSR_ASSIGN_OR_RETURN(const double b,
                           time_turns(stages[1], stages[1], rows));
      TSR_ASSIGN_OR_RETURN(const double both,
                           time_turns(stages[0], stages[1], rows));
      if (run > 0) more.push_back(both - (a + b) / 2.0);
    }
    TSR_ASSIGN_OR_RETURN(const double first_ns, stage_ns(from));
    TSR_ASSIGN_OR_RETURN(const double second_ns, stage_ns(to));
    result[phase] =
        std::max(median_of(more), 0.0) + (first_ns + second_ns) / 2.0;
  }
  return result;
}

Result<std::array<double, 2>> CostProbe::probe_switch(
    const std::shared_ptr<Device>& from, const std::shared_ptr<Device>& to) {
  CostKey key = base_key(*from);
  key.segment = "switch to " + device_fingerprint(*to);
  const bool trusted = !options_.remeasure &&
                       !distrusted_.contains(from.get()) &&
                       !distrusted_.contains(to.get());
  if (options_.store != nullptr && trusted) {
    TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                         options_.store->find(key));
    if (known && known->parts.size() == 1) {
      const PhaseCosts& costs = known->parts.front().costs;
      return std::array<double, 2>{costs[kPrefill].ns, costs[kDecode].ns};
    }
  }
  TSR_ASSIGN_OR_RETURN(const auto ns, measure_switch(from, to));
  if (options_.store != nullptr) {
    MeasuredPart part;
    for (const uint32_t phase : {kPrefill, kDecode}) {
      part.costs[phase].ns = ns[phase];
    }
    TSR_RETURN_IF_ERROR(options_.store->put(key, {{part}, {}}));
  }
  return ns;
}

}  // namespace tessera
