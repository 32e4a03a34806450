// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/planner.hpp"

#include <algorithm>
#include <utility>

#include "framework/planner/conflict.hpp"
#include "framework/planner/margins.hpp"

namespace tessera::planner {
namespace {

// Proofs of conflicts and contingencies are side questions: they get a share of
// the work.
SolveLimits side_limits(SolveLimits limits) {
  limits.max_work /= 4;
  limits.gap = std::max(limits.gap, 0.005);
  limits.on_first_plan = nullptr;
  limits.integer_program = false;
  return limits;
}

// What runs where while a device is gone need not be proven as near.
SolveLimits contingency_limits(const SolveLimits& limits) {
  SolveLimits side = side_limits(limits);
  side.late_gap = std::max(side.late_gap, 0.01);
  return side;
}

class PlanWriter {
 public:
  PlanWriter(const Problem& problem, const BuiltChain& built,
             const Assignment& assignment)
      : problem_(problem), built_(built), assignment_(assignment) {}

  void add_layers(const std::vector<Margin>& margins, PlanFile& plan) const {
    for (uint32_t i = 0; i < built_.chain.items.size(); ++i) {
      const uint32_t g = built_.segment_of_item[i];
      const uint32_t linear = built_.linear_of_item[i];
      PlannedLayer layer =
          linear == kNone ? segment_layer(g) : linear_layer(g, linear);
      if (!margins.empty()) {
        layer.margin_ns = margins[i].margin;
        layer.second = margins[i].second;
        layer.reason = margins[i].reason;
      }
      plan.layers.push_back(std::move(layer));
    }
  }

 private:
  void add_refusals(const std::vector<Refusal>& refusals,
                    PlannedLayer& layer) const {
    for (const Refusal& refusal : refusals) {
      layer.refusals.push_back(
          problem_.devices[refusal.device].name +
          (refusal.scheme.empty() ? "" : " " + refusal.scheme) + ": " +
          refusal.reason);
    }
  }

  PlannedLayer segment_layer(uint32_t g) const {
    const SegmentModel& segment = problem_.segments[g];
    const SegmentClass& entry = problem_.segment_classes[segment.segment_class];
    PlannedLayer layer;
    layer.name = layer.segment = segment.name;
    layer.op = "segment";
    for (uint32_t phase = 0; phase < 2; ++phase) {
      const Site& site = entry.sites[assignment_.segments[g].sites[phase]];
      PlannedPart part;
      part.device = problem_.devices[site.device].name;
      part.predicted_ns = site.costs[phase]->ns;
      layer.phases[phase].push_back(std::move(part));
    }
    add_refusals(entry.refusals, layer);
    return layer;
  }

  PlannedLayer linear_layer(uint32_t g, uint32_t index) const {
    const Linear& linear = problem_.segments[g].linears[index];
    const LinearClass& entry = problem_.linear_classes[linear.linear_class];
    PlannedLayer layer;
    layer.name = linear.name;
    layer.op = "linear";
    layer.segment = problem_.segments[g].name;
    for (uint32_t phase = 0; phase < 2; ++phase) {
      const Cell& cell =
          entry.cells[assignment_.segments[g].linears[index].cells[phase]];
      for (const Part& from : cell.parts) {
        PlannedPart part;
        part.device = problem_.devices[from.device].name;
        part.n_begin = from.n_begin;
        part.n_end = from.n_end;
        part.scheme = problem_.schemes[cell.scheme];
        part.kernel = cell.kernel;
        part.layout = cell.layout;
        part.predicted_ns =
            cell.parts.size() == 1 ? cell.costs[phase]->ns : from.ns[phase];
        layer.phases[phase].push_back(std::move(part));
      }
      layer.kl = std::max(layer.kl, linear.kl[cell.scheme]);
    }
    add_refusals(entry.refusals, layer);
    return layer;
  }

  const Problem& problem_;
  const BuiltChain& built_;
  const Assignment& assignment_;
};

void add_prediction(const Problem& problem, const Prediction& prediction,
                    PlanFile& plan) {
  plan.prefill_ns = prediction.prefill_ns;
  plan.decode_ns = prediction.decode_ns;
  plan.energy_nj = prediction.energy_nj;
  plan.kl_predicted = prediction.kl;
  plan.kl_limit = problem.limits.kl;
  plan.memory = prediction.memory;
  for (const MemoryPool& pool : problem.pools) {
    plan.memory_limits[pool.name] = pool.bytes;
  }
  plan.model_fingerprint = problem.model_fingerprint;
  for (const DeviceModel& device : problem.devices) {
    plan.device_fingerprints[device.name] = device.fingerprint;
  }
}

// What was asked, and nothing of the answer.
PlanFile question_of(const Problem& problem) {
  PlanFile plan;
  plan.objective = objective_name(problem.objective);
  plan.workload = problem.workload;
  plan.split_phases = problem.split_phases;
  plan.base_scheme = problem.base_scheme;
  plan.kv = problem.kv;
  return plan;
}

// Fills the file of a plan that is chosen.
Status write_down(const Problem& problem, const BuiltChain& built,
                  const PlanOptions& options, MadePlan& made) {
  TSR_ASSIGN_OR_RETURN(const Prediction prediction,
                       predict(problem, built, made.assignment));
  made.file = question_of(problem);
  PlanFile& plan = made.file;
  plan.objective_value = made.solution.objective;
  plan.lower_bound = made.solution.bound;
  plan.gap = made.solution.gap();
  add_prediction(problem, prediction, plan);
  PlanWriter(problem, built, made.assignment)
      .add_layers(options.margins ? find_margins(problem, built, made.solution)
                                  : std::vector<Margin>(),
                  plan);
  return {};
}

Result<MadePlan> solve_problem(const Problem& problem,
                               const PlanOptions& options) {
  TSR_ASSIGN_OR_RETURN(const BuiltChain built, build_chain(problem));
  MadePlan made;
  made.solution = solve_chain(built.chain, options.solve);
  if (!made.solution.feasible) {
    if (!made.solution.infeasible) {
      return Status(TSR_RESOURCE_EXHAUSTED,
                    "no plan found within the work allowed, and none ruled "
                    "out; allow more, or loosen a limit");
    }
    if (!options.explain) {
      return Status(TSR_RESOURCE_EXHAUSTED, "no plan keeps the limits");
    }
    TSR_ASSIGN_OR_RETURN(
        const Conflict conflict,
        find_conflict(problem, built, side_limits(options.solve)));
    return Status(TSR_RESOURCE_EXHAUSTED,
                  conflict_text(problem, built, conflict));
  }
  made.assignment = to_assignment(problem, built, made.solution.choice);
  TSR_RETURN_IF_ERROR(write_down(problem, built, options, made));
  return made;
}

// Has nothing on `device`, and no linear in parts.
bool is_whole_without(const PlanFile& plan, const std::string& device) {
  return std::all_of(
      plan.layers.begin(), plan.layers.end(), [&](const PlannedLayer& layer) {
        return std::all_of(
            layer.phases.begin(), layer.phases.end(), [&](const auto& parts) {
              return parts.size() == 1 && parts.front().device != device;
            });
      });
}

// Puts a plan's devices and schemes down as what to go on with.
void take_plan(const PlanFile& plan, Contingency& contingency) {
  contingency.objective = plan.objective_value;
  contingency.gap = plan.gap;
  for (const PlannedLayer& layer : plan.layers) {
    Contingency::Layer entry;
    entry.name = layer.name;
    for (uint32_t phase = 0; phase < 2; ++phase) {
      entry.devices[phase] = layer.phases[phase].front().device;
      entry.schemes[phase] = layer.phases[phase].front().scheme;
    }
    contingency.layers.push_back(std::move(entry));
  }
}

// made  the plan with all devices: what is without `device` anyway stays, and
//       is as near to the best of fewer plans
Contingency contingency_for(const Problem& problem, uint32_t device,
                            const MadePlan& made, const PlanOptions& options) {
  Contingency result;
  result.lost = problem.devices[device].name;
  if (problem.devices.size() == 1) {
    result.failure = "it is the only device";
    return result;
  }
  if (is_whole_without(made.file, result.lost)) {
    take_plan(made.file, result);
    return result;
  }
  // What a contingency says of a linear is one device: none is divided.
  Problem rest = without_device(problem, device);
  for (LinearClass& entry : rest.linear_classes) {
    std::erase_if(entry.cells,
                  [](const Cell& cell) { return cell.parts.size() > 1; });
  }
  const Result<MadePlan> planned =
      solve_problem(rest, {contingency_limits(options.solve), false, false});
  if (planned.ok()) {
    take_plan(planned->file, result);
  } else {
    result.failure = planned.status().message();
  }
  return result;
}

void add_contingencies(const Problem& problem, const PlanOptions& options,
                       MadePlan& made) {
  if (!options.contingencies) return;
  for (uint32_t device = 0; device < problem.devices.size(); ++device) {
    made.file.contingencies.push_back(
        contingency_for(problem, device, made, options));
  }
}

}  // namespace

PlanFile plan_of(const Problem& problem, const BuiltChain& built,
                 const Assignment& assignment) {
  PlanFile plan = question_of(problem);
  PlanWriter(problem, built, assignment).add_layers({}, plan);
  return plan;
}

Problem without_device(const Problem& problem, uint32_t device) {
  Problem rest = problem;
  rest.devices.erase(rest.devices.begin() + device);
  const auto gone = [device](uint32_t index) { return index == device; };
  const auto shift = [device](uint32_t& index) {
    if (index > device) --index;
  };
  std::erase_if(rest.transfers, [&](const TransferCurve& curve) {
    return gone(curve.from) || gone(curve.to);
  });
  for (TransferCurve& curve : rest.transfers) {
    shift(curve.from);
    shift(curve.to);
  }
  const auto fix_refusals = [&](std::vector<Refusal>& refusals) {
    std::erase_if(refusals,
                  [&](const Refusal& entry) { return gone(entry.device); });
    for (Refusal& entry : refusals) shift(entry.device);
  };
  for (LinearClass& entry : rest.linear_classes) {
    std::erase_if(entry.cells, [&](const Cell& cell) {
      return gone(cell.host) ||
             std::any_of(cell.parts.begin(), cell.parts.end(),
                         [&](const Part& part) { return gone(part.device); });
    });
    for (Cell& cell : entry.cells) {
      shift(cell.host);
      for (Part& part : cell.parts) shift(part.device);
    }
    fix_refusals(entry.refusals);
  }
  for (SegmentClass& entry : rest.segment_classes) {
    std::erase_if(entry.sites,
                  [&](const Site& site) { return gone(site.device); });
    for (Site& site : entry.sites) shift(site.device);
    fix_refusals(entry.refusals);
  }
  std::erase_if(rest.rules, [&](const Rule& rule) {
    return rule.device == problem.devices[device].name;
  });
  return rest;
}

Result<MadePlan> make_plan(const Problem& problem, const PlanOptions& options) {
  TSR_ASSIGN_OR_RETURN(MadePlan made, solve_problem(problem, options));
  add_contingencies(problem, options, made);
  return made;
}

Result<MadePlan> put_in_place(const MadePlan& made, const Assignment& instead,
                              const std::string& why, const Problem& problem,
                              const PlanOptions& options) {
  TSR_ASSIGN_OR_RETURN(const BuiltChain built, build_chain(problem));
  MadePlan placed;
  placed.assignment = instead;
  placed.solution = made.solution;
  TSR_ASSIGN_OR_RETURN(placed.solution.choice,
                       to_choice(problem, built, instead));
  TSR_ASSIGN_OR_RETURN(const Prediction prediction,
                       predict(problem, built, instead));
  placed.solution.objective = prediction.objective;
  placed.solution.bound = std::min(made.solution.bound, prediction.objective);
  TSR_RETURN_IF_ERROR(write_down(problem, built, options, placed));
  placed.file.in_place = why;
  // The prices are those of another plan, and so is what looks better by them.
  for (PlannedLayer& layer : placed.file.layers) {
    if (!layer.margin_ns || *layer.margin_ns >= 0.0) continue;
    layer.margin_ns = 0.0;
    layer.reason = layer.second + " was predicted to cost less";
  }
  add_contingencies(problem, options, placed);
  return placed;
}

}  // namespace tessera::planner
