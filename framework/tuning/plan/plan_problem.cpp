// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/plan_problem.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "framework/runtime/step_arena.hpp"
#include "framework/tuning/plan/cost_refiner.hpp"
#include "framework/tuning/plan/cost_source.hpp"
#include "framework/tuning/plan/problem_costs.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"
#include "framework/tuning/plan/step_costs.hpp"
#include "framework/tuning/plan/transfer_costs.hpp"

namespace tessera {
namespace {

using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::LinearClass;
using planner::Problem;
using planner::SegmentClass;

uint64_t quarter_of_memory() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / 4;
}

}  // namespace

class ProblemMaker::Work {
 public:
  explicit Work(const ProblemInputs& inputs)
      : inputs_(inputs),
        probe_(inputs.graph, inputs.source, inputs.probe),
        segments_(cut_segments(inputs.graph)),
        transfers_(probe_, inputs.devices, probe_.out_bytes(segments_.front()),
                   inputs.probe.repeats > 0),
        refiner_({inputs, segment_of_class_, first_linear_}, probe_),
        steps_(probe_, inputs) {
    if (inputs.devices.size() > 1) probe_.keep_rounded(quarter_of_memory());
  }

  Result<Problem> make(ProbeDepth depth) {
    depth_ = depth;
    problem_.workload = inputs_.probe.workload;
    problem_.model_fingerprint =
        model_fingerprint(inputs_.graph, inputs_.source);
    for (const Scheme& scheme : inputs_.schemes) {
      problem_.schemes.push_back(scheme.name);
    }
    add_devices();
    for (const GraphSegment& segment : segments_) {
      if (!classes_.contains(segment.signature)) ++num_classes_;
      classes_[segment.signature] = 0;
    }
    classes_.clear();
    if (depth == ProbeDepth::kMeasure) TSR_RETURN_IF_ERROR(time_all());
    for (const GraphSegment& segment : segments_) {
      TSR_RETURN_IF_ERROR(add_segment(segment));
    }
    transfers_.fill(problem_);
    if (depth == ProbeDepth::kEstimate) scale_estimates(kOptimism, problem_);
    return problem_;
  }

  Result<uint32_t> measure_used(const planner::Assignment& assignment,
                                const std::function<bool()>& is_late,
                                Problem& problem) {
    const size_t num_before = refiner_.kept().drifts(problem).size();
    TSR_ASSIGN_OR_RETURN(const uint32_t num_timed,
                         refiner_.measure_used(assignment, is_late, problem));
    if (refiner_.kept().drifts(problem).size() != num_before) {
      transfers_.fill(problem);
      steps_.forget();
    }
    return num_timed;
  }

  Result<bool> measure_steps(const planner::Assignment& assignment,
                             Problem& problem) {
    return steps_.refine(assignment, problem);
  }

  Status measure_anew(const planner::Assignment& assignment,
                      const std::array<double, 2>& ratio, Problem& problem) {
    TSR_RETURN_IF_ERROR(refiner_.measure_anew(assignment, ratio, problem));
    scale_estimates(kOptimism, problem);
    transfers_.fill(problem);
    steps_.forget();
    return {};
  }

  CostRefiner& refiner() { return refiner_; }
  StepCosts& steps() { return steps_; }

  const ProbeCounts& counts() const { return probe_.counts(); }

 private:
  // Schemes of which nothing is kept, in turns, so that none has a minute for
  // itself.
  Status time_all() {
    std::vector<TimedCell> cells;
    for (const std::shared_ptr<Device>& device : inputs_.devices) {
      for (const Scheme& scheme : inputs_.schemes) {
        std::vector<TimedCell> of_scheme;
        bool wanted = true;
        for (const GraphSegment& segment : segments_) {
          of_scheme.push_back({device, &segment, &scheme});
          TSR_ASSIGN_OR_RETURN(const bool wants,
                               probe_.wants_timing(of_scheme.back()));
          wanted = wanted && wants;
        }
        if (wanted)
          cells.insert(cells.end(), of_scheme.begin(), of_scheme.end());
      }
    }
    return probe_.time_together(cells, [] { return false; });
  }

  // Devices with one id share; 0 is unknown, and what is simulated is its own.
  static uint32_t shared_index(std::vector<uint64_t>& ids, uint64_t id,
                               bool simulated) {
    const auto found = std::find(ids.begin(), ids.end(), id);
    if (id != 0 && !simulated && found != ids.end()) {
      return static_cast<uint32_t>(found - ids.begin());
    }
    ids.push_back(simulated ? 0 : id);
    return static_cast<uint32_t>(ids.size() - 1);
  }

  void add_devices() {
    std::vector<uint64_t> memories;
    std::vector<uint64_t> computes;
    const StepLimits limits{probe_.step_tokens(), inputs_.probe.workload.batch,
                            inputs_.probe.workload.batch, 64};
    for (const std::shared_ptr<Device>& device : inputs_.devices) {
      const tsr_device_info& info = device->info();
      planner::DeviceModel model;
      model.name = device->name();
      model.simulated = info.clock == TSR_CLOCK_SIMULATED;
      model.pool = shared_index(memories, info.memory_id, model.simulated);
      model.compute = shared_index(computes, info.compute_id, model.simulated);
      model.stage_bytes = StepArenaLayout(limits).bytes();
      model.fingerprint = device_fingerprint(*device);
      if (model.pool == problem_.pools.size()) {
        problem_.pools.push_back({model.name, info.memory_bytes});
      }
      problem_.devices.push_back(std::move(model));
    }
  }

  Status add_segment(const GraphSegment& segment) {
    const auto found = classes_.find(segment.signature);
    if (found == classes_.end()) {
      TSR_RETURN_IF_ERROR(add_class(segment));
    }
    const uint32_t index = classes_.at(segment.signature);
    planner::SegmentModel model;
    model.name = segment.name;
    model.layer = segment.layer;
    model.segment_class = index;
    model.out_bytes = probe_.out_bytes(segment);
    for (size_t i = 0; i < segment.weights.size(); ++i) {
      planner::Linear linear;
      linear.name = inputs_.graph.weights[segment.weights[i]].name;
      linear.linear_class = first_linear_[index] + static_cast<uint32_t>(i);
      linear.kl.assign(problem_.schemes.size(), 0.0);
      model.linears.push_back(std::move(linear));
    }
    problem_.segments.push_back(std::move(model));
    return {};
  }

  Status add_class(const GraphSegment& segment) {
    const auto index = static_cast<uint32_t>(problem_.segment_classes.size());
    classes_[segment.signature] = index;
    segment_of_class_.push_back(&segment);
    first_linear_.push_back(
        static_cast<uint32_t>(problem_.linear_classes.size()));
    SegmentClass entry;
    entry.name = fmt::format("{} {}", index, name_in_layer(segment.name));
    entry.keeps_kv = !segment.kv.empty();
    problem_.segment_classes.push_back(std::move(entry));
    for (const uint32_t weight : segment.weights) {
      const GraphWeight& from = inputs_.graph.weights[weight];
      problem_.linear_classes.push_back(
          {fmt::format("{} {}", index, name_in_layer(from.name)),
           from.N,
           from.K,
           {},
           {}});
    }
    for (uint32_t device = 0; device < problem_.devices.size(); ++device) {
      TSR_RETURN_IF_ERROR(probe_device(segment, device));
      ++probed_;
      if (inputs_.on_progress) {
        inputs_.on_progress(
            static_cast<double>(probed_) /
            static_cast<double>(num_classes_ * problem_.devices.size()));
      }
    }
    return {};
  }

  // A segment with some of its linears in a scheme, the others in the base.
  struct ProbedLinears {
    uint32_t scheme = 0;
    std::vector<uint32_t> weights;  // of the graph
    SegmentCost cost;
  };

  Status probe_device(const GraphSegment& segment, uint32_t device) {
    std::optional<SegmentCost> own;
    std::vector<ProbedLinears> probed;
    std::string refusal;
    const size_t num_schemes =
        segment.weights.empty() ? 1 : problem_.schemes.size();
    for (uint32_t scheme = 0; scheme < num_schemes; ++scheme) {
      TSR_ASSIGN_OR_RETURN(SegmentCost cost,
                           probe_.probe(inputs_.devices[device], segment,
                                        inputs_.schemes[scheme], depth_));
      if (cost.refusal.empty()) {
        keep_least(cost, own);
        refiner_.note(
            {static_cast<uint32_t>(problem_.segment_classes.size() - 1), device,
             scheme},
            cost);
        probed.push_back({scheme, segment.weights, std::move(cost)});
        continue;
      }
      refusal = cost.refusal;
      TSR_RETURN_IF_ERROR(
          probe_singly(segment, device, scheme, refusal, own, probed));
    }
    for (const ProbedLinears& linears : probed) {
      add_cells(segment, device, own->own, linears);
    }
    SegmentClass& entry = problem_.segment_classes.back();
    if (!own) {
      entry.refusals.push_back({device, "", refusal});
      return {};
    }
    entry.sites.push_back(
        {device, own->resident_bytes, {own->own[kPrefill], own->own[kDecode]}});
    return {};
  }

  // A scheme that some linear of the segment does not go into: each by itself.
  Status probe_singly(const GraphSegment& segment, uint32_t device,
                      uint32_t scheme, const std::string& refusal,
                      std::optional<SegmentCost>& own,
                      std::vector<ProbedLinears>& probed) {
    for (size_t i = 0; i < segment.weights.size(); ++i) {
      std::string reason = refusal;
      if (segment.weights.size() > 1) {
        GraphSegment one = segment;
        one.weights = {segment.weights[i]};
        TSR_ASSIGN_OR_RETURN(SegmentCost cost,
                             probe_.probe(inputs_.devices[device], one,
                                          inputs_.schemes[scheme], depth_));
        reason = cost.refusal;
        if (reason.empty()) {
          keep_least(cost, own);
          probed.push_back({scheme, std::move(one.weights), std::move(cost)});
          continue;
        }
      }
      linear_class(segment, segment.weights[i])
          .refusals.push_back({device, problem_.schemes[scheme], reason});
    }
    return {};
  }

  LinearClass& linear_class(const GraphSegment& segment, uint32_t weight) {
    const auto at =
        std::find(segment.weights.begin(), segment.weights.end(), weight) -
        segment.weights.begin();
    return problem_
        .linear_classes[first_linear_.back() + static_cast<size_t>(at)];
  }

  // Beside other ops of the segment that are charged with `own`.
  void add_cells(const GraphSegment& segment, uint32_t device,
                 const PhaseCosts& own, const ProbedLinears& probed) {
    for (const LinearCost& linear : probed.cost.linears) {
      const auto& wanted = probed.weights;
      if (std::find(wanted.begin(), wanted.end(), linear.weight) ==
          wanted.end()) {
        continue;
      }
      LinearClass& entry = linear_class(segment, linear.weight);
      Cell cell;
      cell.host = device;
      cell.scheme = probed.scheme;
      cell.kernel = linear.kernel;
      cell.layout = linear.layout;
      cell.load_bytes = linear.raw_bytes;
      cell.parts.push_back({device, 0, entry.N, linear.weight_bytes, {}});
      const PhaseCosts costs =
          costs_beside({own[kPrefill], own[kDecode]}, probed.cost, linear);
      cell.costs = {costs[kPrefill], costs[kDecode]};
      entry.cells.push_back(std::move(cell));
    }
  }

  const ProblemInputs& inputs_;
  CostProbe probe_;
  std::vector<GraphSegment> segments_;
  TransferCosts transfers_;
  Problem problem_;
  std::map<std::string, uint32_t> classes_;  // by signature
  std::vector<uint32_t> first_linear_;       // by segment class
  std::vector<const GraphSegment*> segment_of_class_;
  CostRefiner refiner_;
  StepCosts steps_;
  ProbeDepth depth_ = ProbeDepth::kMeasure;
  size_t num_classes_ = 0;
  size_t probed_ = 0;
};

ProblemMaker::ProblemMaker(const ProblemInputs& inputs)
    : work_(std::make_unique<Work>(inputs)) {}

ProblemMaker::~ProblemMaker() = default;

Result<Problem> ProblemMaker::make(ProbeDepth depth) {
  return work_->make(depth);
}

Result<uint32_t> ProblemMaker::measure_used(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  return work_->measure_used(assignment, is_late, problem);
}

Result<uint32_t> ProblemMaker::measure_close(
    const planner::Assignment& assignment, const std::function<bool()>& is_late,
    Problem& problem) {
  return work_->refiner().measure_close(assignment, is_late, problem);
}

Result<bool> ProblemMaker::measure_steps(const planner::Assignment& assignment,
                                         planner::Problem& problem) {
  return work_->measure_steps(assignment, problem);
}

Status ProblemMaker::measure_rest(const std::function<bool()>& is_late,
                                  Problem& problem) {
  return work_->refiner().measure_rest(is_late, problem);
}

Status ProblemMaker::measure_again(const planner::Assignment& assignment,
                                   Problem& problem) {
  return work_->refiner().measure_again(assignment, problem);
}

Status ProblemMaker::measure_anew(const planner::Assignment& assignment,
                                  const std::array<double, 2>& ratio,
                                  Problem& problem) {
  return work_->measure_anew(assignment, ratio, problem);
}

std::optional<std::array<double, 2>> ProblemMaker::time_pace(
    const planner::Assignment& assignment, const Problem& problem) {
  return work_->steps().pace_of(assignment, problem);
}

void ProblemMaker::end_optimism(Problem& problem) const {
  scale_estimates(1.0 / kOptimism, problem);
  end_stale_optimism(problem);
}

std::vector<CostDrift> ProblemMaker::drifts(const Problem& problem) const {
  return work_->refiner().kept().drifts(problem);
}

const ProbeCounts& ProblemMaker::counts() const { return work_->counts(); }

}  // namespace tessera
