// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/step_costs.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "framework/planner/planner.hpp"
#include "framework/tuning/plan/runtime_plan.hpp"

namespace tessera {
namespace {

using planner::Assignment;
using planner::Cell;
using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

const Cell& cell_of(const Problem& problem, const Assignment& assignment,
                    size_t segment, size_t linear, uint32_t phase) {
  const uint32_t index = problem.segments[segment].linears[linear].linear_class;
  return problem.linear_classes[index]
      .cells[assignment.segments[segment].linears[linear].cells[phase]];
}

bool divides(const Problem& problem, const Assignment& assignment) {
  for (size_t g = 0; g < problem.segments.size(); ++g) {
    for (size_t i = 0; i < problem.segments[g].linears.size(); ++i) {
      for (const uint32_t phase : {kPrefill, kDecode}) {
        if (cell_of(problem, assignment, g, i, phase).parts.size() > 1) {
          return true;
        }
      }
    }
  }
  return false;
}

// Between stages by themselves and their segments on a machine that has not
// changed.
constexpr double kSlack = 1.15;

// Of one phase's part of a segment.
double segment_ns(const Problem& problem, const Assignment& assignment,
                  size_t segment, uint32_t phase) {
  const planner::SegmentModel& model = problem.segments[segment];
  const planner::SegmentClass& entry =
      problem.segment_classes[model.segment_class];
  double ns =
      entry.sites[assignment.segments[segment].sites[phase]].costs[phase]->ns;
  for (size_t i = 0; i < model.linears.size(); ++i) {
    ns += cell_of(problem, assignment, segment, i, phase).costs[phase]->ns;
  }
  return ns;
}

}  // namespace

std::vector<StepCosts::Run> StepCosts::runs_of(const Assignment& assignment,
                                               uint32_t phase,
                                               const Problem& problem) const {
  std::vector<Run> runs;
  for (size_t g = 0; g < problem.segments.size(); ++g) {
    const uint32_t device = assignment.segments[g].devices[phase];
    if (runs.empty() || runs.back().device != device) runs.push_back({device});
    runs.back().ns += segment_ns(problem, assignment, g, phase) /
                      probe_.runs_of(segments_[g], phase);
  }
  return runs;
}

DeviceList StepCosts::devices_of(const std::vector<Run>& runs) const {
  DeviceList devices;
  for (const Run& run : runs) devices.push_back(inputs_.devices[run.device]);
  return devices;
}

Result<StageTimes> StepCosts::time_plan(const Assignment& assignment,
                                        const Problem& problem) {
  TSR_ASSIGN_OR_RETURN(const planner::BuiltChain built,
                       planner::build_chain(problem));
  DeviceMap devices;
  for (size_t d = 0; d < problem.devices.size(); ++d) {
    devices[problem.devices[d].name] = inputs_.devices[d];
  }
  TSR_ASSIGN_OR_RETURN(
      const Plan plan,
      runtime_plan(planner::plan_of(problem, built, assignment), inputs_.graph,
                   inputs_.probe.base, devices));
  return probe_.time_plan(plan, devices);
}

// What each run of segments takes in a step beyond what its stage takes by
// itself, just now; what the stages take beyond their segments is shared out.
// Where that is much, the machine is not as it was when segments were timed:
// then nothing is to be kept, and where other processes had a part in it, it is
// left out.
StepCosts::Losses StepCosts::losses_of(const std::vector<Run>& runs,
                                       const StageTimes& times,
                                       uint32_t phase) {
  Losses losses;
  double parts = 0.0;
  for (const Run& run : runs) parts += run.ns;
  const std::vector<double>& alone = times.alone[phase];
  const double stages = std::accumulate(alone.begin(), alone.end(), 0.0);
  const bool as_it_was = stages < kSlack * parts && parts < kSlack * stages;
  losses.holds = !times.was_busy[phase] && as_it_was;
  const bool returns = runs.front().device != runs.back().device;
  const auto num_changes =
      static_cast<double>(runs.size() - (returns ? 0U : 1U));
  const bool is_shared = as_it_was || !times.others_ran;
  const double share = is_shared ? (stages - parts) / num_changes : 0.0;
  for (size_t i = 0; i < runs.size(); ++i) {
    losses.ns.push_back(
        std::max(times.in_step[phase][i] - alone[i] + share, 0.0));
  }
  return losses;
}

// Of a plan's steps in a phase, as kept or as timed now; nothing if they cannot
// be timed.
//
// times  of the plan, once they were asked for
Result<std::optional<std::vector<double>>> StepCosts::find_losses(
    const std::vector<Run>& runs, uint32_t phase, const Assignment& assignment,
    const Problem& problem, std::optional<Result<StageTimes>>& times) {
  const DeviceList devices = devices_of(runs);
  TSR_ASSIGN_OR_RETURN(std::optional<std::vector<double>> known,
                       probe_.find_losses(devices, phase));
  if (known) return known;
  if (!times) times = time_plan(assignment, problem);
  // What does not run as a whole, or does not fit, is as its parts say.
  if (!times->ok() || (**times).in_step[phase].size() != runs.size()) {
    return known;
  }
  Losses losses = losses_of(runs, **times, phase);
  if (losses.holds) {
    TSR_RETURN_IF_ERROR(probe_.keep_losses(devices, phase, losses.ns));
  }
  return std::optional<std::vector<double>>(std::move(losses.ns));
}

Result<bool> StepCosts::refine(const Assignment& assignment, Problem& problem) {
  if (divides(problem, assignment)) return false;
  std::optional<Result<StageTimes>> times;
  bool changed = false;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const std::vector<Run> runs = runs_of(assignment, phase, problem);
    if (!goes_by_wall(runs, problem)) continue;
    Order order;
    for (const Run& run : runs) order.push_back(run.device);
    if (!known_.insert({phase, order}).second) continue;
    TSR_ASSIGN_OR_RETURN(const std::optional<std::vector<double>> losses,
                         find_losses(runs, phase, assignment, problem, times));
    if (!losses) continue;
    take_losses(runs, phase, *losses, problem);
    changed = true;
  }
  return changed;
}

// Over several devices, none of which is simulated.
bool StepCosts::goes_by_wall(const std::vector<Run>& runs,
                             const Problem& problem) const {
  return runs.size() > 1 &&
         std::none_of(runs.begin(), runs.end(), [&](const Run& run) {
           return problem.devices[run.device].simulated;
         });
}

// What the problem says of one step.
double StepCosts::step_ns(const std::vector<Run>& runs, uint32_t phase,
                          const Problem& problem) const {
  double ns = 0.0;
  for (size_t i = 0; i < runs.size(); ++i) {
    ns += runs[i].ns;
    const uint32_t from = (i == 0 ? runs.back() : runs[i - 1]).device;
    for (const planner::TransferCurve& curve : problem.transfers) {
      if (curve.from != from || curve.to != runs[i].device) continue;
      const double moved =
          i == 0 ? curve.return_ns[phase]
                 : curve.ns(problem.segments.front().out_bytes[phase]);
      ns += phase == kPrefill ? moved / probe_.prefill_steps() : moved;
    }
  }
  return ns;
}

std::optional<std::array<double, 2>> StepCosts::pace_of(
    const Assignment& assignment, const Problem& problem) {
  if (divides(problem, assignment)) return std::nullopt;
  std::array<std::vector<Run>, 2> runs;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    runs[phase] = runs_of(assignment, phase, problem);
    if (!goes_by_wall(runs[phase], problem)) return std::nullopt;
  }
  const Result<StageTimes> times = time_plan(assignment, problem);
  if (!times.ok()) return std::nullopt;
  std::array<double, 2> pace{};
  for (const uint32_t phase : {kPrefill, kDecode}) {
    const std::vector<double>& ns = times->in_step[phase];
    pace[phase] = std::accumulate(ns.begin(), ns.end(), 0.0) /
                  step_ns(runs[phase], phase, problem);
  }
  return pace;
}

// Of a change that is made more than once in a step, each takes its share.
void StepCosts::take_losses(const std::vector<Run>& runs, uint32_t phase,
                            const std::vector<double>& losses,
                            Problem& problem) {
  std::map<Change, std::vector<double>> changes;
  for (size_t i = 0; i < runs.size(); ++i) {
    const uint32_t from = (i == 0 ? runs.back() : runs[i - 1]).device;
    if (from == runs[i].device) continue;
    changes[{from, runs[i].device, phase, i == 0}].push_back(losses[i]);
  }
  for (const auto& [change, ns] : changes) {
    take_change(change,
                std::accumulate(ns.begin(), ns.end(), 0.0) /
                    static_cast<double>(ns.size()),
                problem);
  }
}

void StepCosts::take_change(const Change& change, double ns, Problem& problem) {
  const auto [from, to, phase, begins_step] = change;
  const bool is_first = changes_.insert(change).second;
  if (phase == kPrefill) ns *= probe_.prefill_steps();
  const auto take = [&](double& known) {
    known = is_first ? ns : std::max(known, ns);
  };
  for (planner::TransferCurve& curve : problem.transfers) {
    if (curve.from != from || curve.to != to) continue;
    if (begins_step) take(curve.return_ns[phase]);
    for (planner::TransferCurve::Point& point : curve.points) {
      const bool is_of_phase =
          point.bytes == problem.segments.front().out_bytes[phase];
      if (!begins_step && is_of_phase) take(point.ns);
    }
  }
}

void StepCosts::forget() {
  known_.clear();
  changes_.clear();
}

}  // namespace tessera
