// SPDX-License-Identifier: Apache-2.0
//
// Times the steps of a plan as a session runs them.

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framework/tuning/plan/probe_subject.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"
#include "framework/tuning/plan/timed_stage.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;

// Rounds for each of those that segments are timed in, for what is looked for
// is a small difference; no more than those once they took so long.
constexpr uint32_t kRoundsPerRepeat = 4;
constexpr double kEnoughNs = 1e9;

using StartTimer =
    std::function<Result<double>(const std::shared_ptr<Device>&)>;

// One thing's times in rounds.
class Rounds {
 public:
  void add_run(double ns) { runs_.push_back(ns); }
  void end_round() {
    medians_.push_back(median_of(runs_));
    runs_.clear();
  }
  const std::vector<double>& all() const { return medians_; }

 private:
  std::vector<double> runs_;     // of this round
  std::vector<double> medians_;  // of the rounds before
};

// Steps of one phase, and their stages by themselves.
class StepRounds {
 public:
  // `timer` and `stages` outlive it.
  StepRounds(const RunTimer& timer, const StageSet& stages,
             uint32_t max_blocks_per_seq, const tsr_step_shape& shape)
      : timer_(timer),
        stages_(stages),
        max_blocks_per_seq_(max_blocks_per_seq),
        shape_(shape),
        in_step_(stages.stages().size()),
        alone_(stages.stages().size()) {}

  // Some steps of a round; after them its stages, as often.
  Status add_steps() {
    const StepSize size = write();
    TSR_RETURN_IF_ERROR(timer_.step(stages_, size).status());
    double spent = 0.0;
    for (runs_ = 0; runs_ < kMostRunsOfRound && spent < kEnoughNsOfRound;
         ++runs_) {
      TSR_ASSIGN_OR_RETURN(const std::vector<double> ns,
                           timer_.step(stages_, size));
      for (size_t i = 0; i < in_step_.size(); ++i) in_step_[i].add_run(ns[i]);
      walls_.add_run(std::accumulate(ns.begin(), ns.end(), 0.0));
      spent += std::accumulate(ns.begin(), ns.end(), 0.0);
    }
    for (Rounds& one : in_step_) one.end_round();
    walls_.end_round();
    spent_ns_ += spent;
    return {};
  }

  Status add_stages() {
    const StepSize size = write();
    for (size_t i = 0; i < alone_.size(); ++i) {
      Stage& stage = *stages_.stages()[i];
      TSR_RETURN_IF_ERROR(timer_.time(stage, size).status());
      for (uint32_t run = 0; run < runs_; ++run) {
        TSR_ASSIGN_OR_RETURN(const double ns, timer_.time(stage, size));
        alone_[i].add_run(ns);
      }
      alone_[i].end_round();
    }
    return {};
  }

  double spent_ns() const { return spent_ns_; }

  // What each took in the rounds that count.
  struct Found {
    std::vector<double> in_step;  // together they take what a step does
    std::vector<double> alone;
    bool was_busy = false;
  };
  Found find(bool others_ran) const {
    const std::vector<size_t> which =
        rounds_that_count({walls_.all()}, others_ran);
    const SpreadTime wall = time_in(which, walls_.all());
    Found found{times(in_step_, which), times(alone_, which),
                is_busy(wall.spread)};
    const double sum =
        std::accumulate(found.in_step.begin(), found.in_step.end(), 0.0);
    for (double& one : found.in_step) one *= sum > 0.0 ? wall.ns / sum : 1.0;
    return found;
  }

 private:
  StepSize write() const {
    return write_step(stages_.first(), max_blocks_per_seq_, shape_);
  }
  static std::vector<double> times(const std::vector<Rounds>& rounds,
                                   const std::vector<size_t>& which) {
    std::vector<double> ns;
    ns.reserve(rounds.size());
    for (const Rounds& one : rounds) ns.push_back(time_in(which, one.all()).ns);
    return ns;
  }

  const RunTimer& timer_;
  const StageSet& stages_;
  const uint32_t max_blocks_per_seq_;
  const tsr_step_shape shape_;
  uint32_t runs_ = 0;            // of the last round
  std::vector<Rounds> in_step_;  // by stage
  std::vector<Rounds> alone_;    // by stage
  Rounds walls_;
  double spent_ns_ = 0.0;
};

// Of a step that began by itself, what its programs after the first one did
// not: those of a step begin one behind the other.
Status take_starts_off(const StageSet& set, const DeviceMap& devices,
                       const StartTimer& start_ns, std::vector<double>& alone) {
  for (size_t i = 1; i < alone.size(); ++i) {
    const auto device =
        std::find_if(devices.begin(), devices.end(), [&](const auto& entry) {
          return entry.second.get() == &set.stages()[i]->device();
        });
    TSR_ASSIGN_OR_RETURN(const double ns, start_ns(device->second));
    alone[i] = std::max(alone[i] - ns, 0.0);
  }
  return {};
}

}  // namespace

// In turns: so what else the machine does falls on all alike.  Decode steps
// come behind prefill steps, as they do in a session: those keep all cores
// busy, and a machine was seen to take a third longer for steps of several
// devices where that was a second ago.
Result<StageTimes> CostProbe::time_plan(const Plan& plan,
                                        const DeviceMap& devices) {
  // Weights and KV caches of both phases are there once.
  Residents residents;
  std::vector<std::unique_ptr<StageSet>> sets;
  TSR_ASSIGN_OR_RETURN(
      sets.emplace_back(),
      StageSet::create(stage_inputs(plan, &residents), devices));
  if (plan.decode != nullptr) {
    TSR_ASSIGN_OR_RETURN(
        sets.emplace_back(),
        StageSet::create(stage_inputs(*plan.decode, &residents), devices));
  }
  std::vector<StepRounds> phases;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const StageSet& set = phase == kPrefill ? *sets.front() : *sets.back();
    phases.emplace_back(options_.timer, set, limits_.max_blocks_per_seq,
                        step_shape(phase));
  }
  const std::function<bool()> others = options_.timer.watch();
  for (uint32_t round = 0; round < kRoundsPerRepeat * options_.repeats;
       ++round) {
    const bool took_enough = phases[kPrefill].spent_ns() > kEnoughNs;
    if (round >= options_.repeats && took_enough) break;
    for (StepRounds& phase : phases) TSR_RETURN_IF_ERROR(phase.add_steps());
    for (StepRounds& phase : phases) TSR_RETURN_IF_ERROR(phase.add_stages());
  }
  StageTimes times;
  times.others_ran = others();
  for (const uint32_t phase : {kPrefill, kDecode}) {
    StepRounds::Found found = phases[phase].find(times.others_ran);
    times.in_step[phase] = std::move(found.in_step);
    times.alone[phase] = std::move(found.alone);
    times.was_busy[phase] = found.was_busy;
    TSR_RETURN_IF_ERROR(take_starts_off(
        phase == kPrefill ? *sets.front() : *sets.back(), devices,
        [this](const std::shared_ptr<Device>& device) {
          return stage_ns(device);
        },
        times.alone[phase]));
  }
  ++counts_.steps;
  return times;
}

CostKey CostProbe::order_key(const DeviceList& order, uint32_t phase) const {
  CostKey key = base_key(*order.front());
  key.segment = phase == kPrefill ? "prefill step" : "decode step";
  for (const std::shared_ptr<Device>& device : order) {
    key.segment += " > " + device_fingerprint(*device);
  }
  return key;
}

Result<std::optional<std::vector<double>>> CostProbe::find_losses(
    const DeviceList& order, uint32_t phase) {
  std::optional<std::vector<double>> losses;
  const bool is_trusted = std::none_of(
      order.begin(), order.end(), [this](const std::shared_ptr<Device>& one) {
        return distrusted_.contains(one.get());
      });
  if (options_.store == nullptr || options_.remeasure || !is_trusted) {
    return losses;
  }
  TSR_ASSIGN_OR_RETURN(const std::optional<MeasuredSegment> known,
                       options_.store->find(order_key(order, phase)));
  if (!known || known->parts.size() != order.size()) return losses;
  losses.emplace();
  for (const MeasuredPart& part : known->parts) {
    losses->push_back(part.costs[phase].ns);
  }
  return losses;
}

Status CostProbe::keep_losses(const DeviceList& order, uint32_t phase,
                              const std::vector<double>& losses) {
  if (options_.store == nullptr) return {};
  MeasuredSegment kept;
  for (size_t i = 0; i < order.size(); ++i) {
    MeasuredPart part{order[i]->name(), "", {}};
    part.costs[phase].ns = losses[i];
    kept.parts.push_back(std::move(part));
  }
  return options_.store->put(order_key(order, phase), kept);
}

}  // namespace tessera
