// SPDX-License-Identifier: Apache-2.0
//
// Times segments where they stand, or finds what was timed before.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Weights of this many numbers in a row are more than caches hold, in 4 bits
// too: what is timed in such a run is as cold as in a session.
constexpr uint64_t kColdWeights = uint64_t{96} << 20;

double size_of_op(const Graph& graph, const Lowered& lowered, size_t op) {
  const uint32_t weight = weight_of(graph, lowered, op);
  if (weight == TSR_NONE) return 0.0;
  return double{1} * graph.weights[weight].N * graph.weights[weight].K;
}

}  // namespace

StageInputs CostProbe::stage_inputs(const Plan& plan) const {
  return {graph_,          plan,
          source_,         limits_,
          kProbeBlockSize, limits_.max_blocks_per_seq * limits_.max_seqs,
          false,           nullptr};
}

// What it takes to begin a program and wait for it: a run of a single op,
// without that op.
Result<double> CostProbe::stage_ns(const std::shared_ptr<Device>& device) {
  const auto known = stage_ns_.find(device.get());
  if (known != stage_ns_.end()) return known->second;
  const GraphSegment& first =
      segments_[std::min<size_t>(1, segments_.size() - 1)];
  const Plan plan = plan_for(*device, first, options_.base);
  const OpRange range{first.first, first.first + 1, device->name(), {}, 0};
  TSR_ASSIGN_OR_RETURN(TimedStage stage,
                       TimedStage::create(stage_inputs(plan), range, device));
  stage.prepare(step_shape(kDecode), limits_.max_blocks_per_seq);
  std::vector<double> outside;
  for (uint32_t run = 0; run <= 2 * options_.repeats; ++run) {
    TSR_ASSIGN_OR_RETURN(const auto records, stage.record_run());
    TSR_ASSIGN_OR_RETURN(double ns, stage.time_run());
    for (const tsr_kernel_record& record : records) {
      ns -= static_cast<double>(record.end_ns - record.begin_ns);
    }
    if (run > 0) outside.push_back(std::max(ns, 0.0));
  }
  return stage_ns_[device.get()] = median_of(outside);
}

// The last segments of the graph, down to `segment` or until their weights
// outgrow caches; those before the first layer stay by themselves.
std::pair<size_t, size_t> CostProbe::window_of(
    const GraphSegment& segment) const {
  size_t at = segments_.size();
  uint64_t weights = 0;
  bool has_segment = false;
  while (at > 1 && (weights < kColdWeights || !has_segment)) {
    --at;
    for (const uint32_t weight : segments_[at].weights) {
      weights += uint64_t{graph_.weights[weight].N} * graph_.weights[weight].K;
    }
    has_segment = has_segment || segments_[at].signature == segment.signature;
    if (weights > 2 * kColdWeights) break;
  }
  return {at, segments_.size()};
}

// Times a run of segments as one program, and keeps what each kind took.
Status CostProbe::measure_window(const std::shared_ptr<Device>& device,
                                 const Scheme& scheme, size_t begin,
                                 size_t end) {
  GraphSegment window = segments_[begin];
  window.last = segments_[end - 1].last;
  window.weights.clear();
  for (size_t i = begin; i < end; ++i) {
    window.weights.insert(window.weights.end(), segments_[i].weights.begin(),
                          segments_[i].weights.end());
  }
  const Plan plan = plan_for(*device, window, scheme);
  const OpRange range = window.range(device->name());
  const Lowered lowered = lower_range(plan, range);
  TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(device));
  TSR_ASSIGN_OR_RETURN(TimedStage stage,
                       TimedStage::create(stage_inputs(plan), range, device));
  WindowTimes& times = windows_[{device.get(), scheme.name}];
  for (const uint32_t phase : {kPrefill, kDecode}) {
    stage.prepare(step_shape(phase), limits_.max_blocks_per_seq);
    TSR_ASSIGN_OR_RETURN(
        const OpTimes found,
        time_ops(stage, lowered.ops.size(), options_.repeats, start_ns,
                 [&](size_t op) { return size_of_op(graph_, lowered, op); }));
    for (size_t i = begin; i < end; ++i) {
      KindTimes& kind = times[segments_[i].signature];
      const size_t offset = segments_[i].first - range.first;
      const size_t count = segments_[i].last - segments_[i].first;
      kind.ns[phase].resize(count);
      kind.kernels.assign(
          found.kernels.begin() + static_cast<long>(offset),
          found.kernels.begin() + static_cast<long>(offset + count));
      for (size_t op = 0; op < count; ++op) {
        kind.ns[phase][op] += found.ns[offset + op];
      }
      if (phase == kPrefill) ++kind.count;
      kind.workspace_bytes = stage.stage().memory().workspace_bytes;
    }
  }
  return {};
}

// By itself, hot in caches: for what cannot be in a run with others.
Status CostProbe::measure_alone(const Subject& subject, KindTimes& times) {
  TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(subject.device));
  TSR_ASSIGN_OR_RETURN(
      TimedStage stage,
      TimedStage::create(stage_inputs(subject.plan),
                         subject.segment.range(subject.device->name()),
                         subject.device));
  for (const uint32_t phase : {kPrefill, kDecode}) {
    stage.prepare(step_shape(phase), limits_.max_blocks_per_seq);
    TSR_ASSIGN_OR_RETURN(OpTimes found,
                         time_ops(stage, subject.lowered.ops.size(),
                                  options_.repeats, start_ns, [&](size_t op) {
                                    return size_of_op(graph_, subject.lowered,
                                                      op);
                                  }));
    times.ns[phase] = std::move(found.ns);
    times.kernels = std::move(found.kernels);
  }
  times.count = 1;
  times.workspace_bytes = stage.stage().memory().workspace_bytes;
  return {};
}

Status CostProbe::measure(const Subject& subject, const Scheme& scheme,
                          SegmentCost& cost) {
  KindTimes alone;
  const KindTimes* times = &alone;
  const auto known = [&]() -> const KindTimes* {
    const auto window = windows_.find({subject.device.get(), scheme.name});
    if (window == windows_.end()) return nullptr;
    const auto kind = window->second.find(subject.segment.signature);
    return kind == window->second.end() ? nullptr : &kind->second;
  };
  const auto whole = std::find_if(
      segments_.begin(), segments_.end(), [&](const GraphSegment& segment) {
        return segment.first == subject.segment.first &&
               segment.weights == subject.segment.weights;
      });
  const bool in_window = whole != segments_.end() && whole != segments_.begin();
  if (in_window && known() == nullptr) {
    const auto [begin, end] = window_of(subject.segment);
    const Status status = measure_window(subject.device, scheme, begin, end);
    // Another segment of the run may be what the device lacks.
    if (!status.ok()) windows_.erase({subject.device.get(), scheme.name});
  }
  if (in_window && known() != nullptr) {
    times = known();
  } else {
    TSR_RETURN_IF_ERROR(measure_alone(subject, alone));
  }
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const double runs = phase == kPrefill ? prefill_steps() : 1.0;
    for (size_t op = 0; op < times->ns[phase].size(); ++op) {
      planner::Cost& into = cost_of(graph_, subject.lowered, op, phase, cost);
      into.ns += runs * times->ns[phase][op] / times->count;
      into.workspace_bytes = times->workspace_bytes;
      into.source = "measured";
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

namespace {

MeasuredSegment to_measured(const Graph& graph, const SegmentCost& cost) {
  MeasuredSegment measured{{{"", "", cost.own}}};
  for (const LinearCost& linear : cost.linears) {
    measured.parts.push_back({name_in_layer(graph.weights[linear.weight].name),
                              linear.kernel, linear.costs});
  }
  return measured;
}

// False if the parts are not those of the segment.
bool from_measured(const Graph& graph, const MeasuredSegment& measured,
                   SegmentCost& cost) {
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
  return true;
}

}  // namespace

CostKey CostProbe::base_key(const Device& device) const {
  const planner::Workload& work = options_.workload;
  CostKey key;
  key.device = device_fingerprint(device);
  key.threads = options_.threads;
  key.base =
      options_.base.name + " kv " + std::to_string(options_.base.kv_format);
  key.workload =
      fmt::format("prompt {} generate {} batch {} step {}", work.prompt,
                  work.generate, work.batch, step_tokens_);
  return key;
}

CostKey CostProbe::key_of(const Subject& subject, const Scheme& scheme) const {
  CostKey key = base_key(*subject.device);
  key.segment = subject.segment.signature;
  // A subset of the linears is another subject.
  for (const uint32_t weight : subject.segment.weights) {
    key.segment += " " + name_in_layer(graph_.weights[weight].name);
  }
  key.scheme = scheme.name;
  return key;
}

Result<bool> CostProbe::look_up(const CostKey& key, SegmentCost& cost) {
  if (options_.store == nullptr) return false;
  // What was timed anew a moment ago is not timed again.
  const bool is_timed =
      std::find(timed_.begin(), timed_.end(), key) != timed_.end();
  if (options_.remeasure && !is_timed) return false;
  TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                       options_.store->find(key));
  return known && from_measured(graph_, *known, cost);
}

Status CostProbe::find_times(const Subject& subject, const Scheme& scheme,
                             ProbeDepth depth, SegmentCost& cost) {
  const bool simulated = subject.device->info().clock == TSR_CLOCK_SIMULATED;
  if (simulated || options_.repeats == 0) return estimate(subject, cost);
  const CostKey key = key_of(subject, scheme);
  TSR_ASSIGN_OR_RETURN(const bool found, look_up(key, cost));
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
  ++counts_.measured;
  TSR_RETURN_IF_ERROR(measure(subject, scheme, cost));
  timed_.push_back(key);
  if (options_.store == nullptr) return {};
  return options_.store->put(key, to_measured(graph_, cost));
}

}  // namespace tessera
