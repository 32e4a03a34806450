// SPDX-License-Identifier: Apache-2.0
//
// Times the steps of a plan as a session runs them.

#include <algorithm>
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

// Steps, and their stages by themselves, in turns: so what else the machine
// does falls on both alike.
class StepRounds {
 public:
  StepRounds(const RunTimer& timer, const StageSet& stages,
             const StepSize& size)
      : timer_(timer),
        stages_(stages),
        size_(size),
        in_step_(stages.stages().size()),
        alone_(stages.stages().size()) {}

  Status add_round() {
    TSR_RETURN_IF_ERROR(timer_.step(stages_, size_).status());
    uint32_t runs = 0;
    double spent = 0.0;
    for (; runs < kMostRunsOfRound && spent < kEnoughNsOfRound; ++runs) {
      TSR_ASSIGN_OR_RETURN(const std::vector<double> ns,
                           timer_.step(stages_, size_));
      for (size_t i = 0; i < in_step_.size(); ++i) in_step_[i].add_run(ns[i]);
      walls_.add_run(std::accumulate(ns.begin(), ns.end(), 0.0));
      spent += std::accumulate(ns.begin(), ns.end(), 0.0);
    }
    for (size_t i = 0; i < alone_.size(); ++i) {
      Stage& stage = *stages_.stages()[i];
      TSR_RETURN_IF_ERROR(timer_.time(stage, size_).status());
      for (uint32_t run = 0; run < runs; ++run) {
        TSR_ASSIGN_OR_RETURN(const double ns, timer_.time(stage, size_));
        alone_[i].add_run(ns);
      }
      alone_[i].end_round();
      in_step_[i].end_round();
    }
    walls_.end_round();
    spent_ns_ += spent;
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
  static std::vector<double> times(const std::vector<Rounds>& rounds,
                                   const std::vector<size_t>& which) {
    std::vector<double> ns;
    ns.reserve(rounds.size());
    for (const Rounds& one : rounds) ns.push_back(time_in(which, one.all()).ns);
    return ns;
  }

  const RunTimer& timer_;
  const StageSet& stages_;
  const StepSize& size_;
  std::vector<Rounds> in_step_;  // by stage
  std::vector<Rounds> alone_;    // by stage
  Rounds walls_;
  double spent_ns_ = 0.0;
};

}  // namespace

Result<StageTimes> CostProbe::time_plan(const Plan& plan,
                                        const DeviceMap& devices) {
  // Weights and KV caches of both phases are there once.
  Residents residents;
  StageTimes times;
  std::unique_ptr<StageSet> set;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const bool parts = phase == kDecode && plan.decode != nullptr;
    if (set == nullptr || parts) {
      const StageInputs inputs =
          stage_inputs(parts ? *plan.decode : plan, &residents);
      TSR_ASSIGN_OR_RETURN(set, StageSet::create(inputs, devices));
    }
    const StepSize size =
        write_step(set->first(), limits_.max_blocks_per_seq, step_shape(phase));
    const std::function<bool()> others = options_.timer.watch();
    StepRounds rounds(options_.timer, *set, size);
    for (uint32_t round = 0; round < kRoundsPerRepeat * options_.repeats;
         ++round) {
      if (round >= options_.repeats && rounds.spent_ns() > kEnoughNs) break;
      TSR_RETURN_IF_ERROR(rounds.add_round());
    }
    times.others_ran[phase] = others();
    StepRounds::Found found = rounds.find(times.others_ran[phase]);
    times.in_step[phase] = std::move(found.in_step);
    times.alone[phase] = std::move(found.alone);
    times.was_busy[phase] = found.was_busy;
    for (size_t i = 1; i < times.alone[phase].size(); ++i) {
      const auto device =
          std::find_if(devices.begin(), devices.end(), [&](const auto& entry) {
            return entry.second.get() == &set->stages()[i]->device();
          });
      TSR_ASSIGN_OR_RETURN(const double start_ns, stage_ns(device->second));
      double& alone = times.alone[phase][i];
      alone = std::max(alone - start_ns, 0.0);
    }
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
