// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/framework/planner/every_plan.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tessera::planner {
namespace {

// One device and one cell per linear, in each phase.
struct Placed {
  std::array<uint32_t, 2> devices{};
  std::vector<std::array<uint32_t, 2>> cells;
};

const Site& site_of(const Problem& problem, size_t g, uint32_t device) {
  const auto& sites =
      problem.segment_classes[problem.segments[g].segment_class].sites;
  return *std::find_if(sites.begin(), sites.end(), [device](const Site& site) {
    return site.device == device;
  });
}

// Two devices that a plan goes between have one.
const TransferCurve& curve_of(const Problem& problem, uint32_t from,
                              uint32_t to) {
  return *std::find_if(problem.transfers.begin(), problem.transfers.end(),
                       [&](const TransferCurve& curve) {
                         return curve.from == from && curve.to == to;
                       });
}

// By device: a program with its buffers, and a workspace that is large enough
// for all that the device may be given.
std::vector<uint64_t> bytes_of_programs(const Problem& problem) {
  std::vector<uint64_t> workspaces(problem.devices.size(), 0);
  const auto reach_all = [&](uint32_t device, const auto& costs) {
    for (const auto& cost : costs) {
      workspaces[device] = std::max(workspaces[device], cost->workspace_bytes);
    }
  };
  for (const LinearClass& entry : problem.linear_classes) {
    for (const Cell& cell : entry.cells) {
      for (const Part& part : cell.parts) reach_all(part.device, cell.costs);
    }
  }
  for (const SegmentClass& entry : problem.segment_classes) {
    for (const Site& site : entry.sites) reach_all(site.device, site.costs);
  }
  for (size_t device = 0; device < workspaces.size(); ++device) {
    workspaces[device] += problem.devices[device].stage_bytes;
  }
  return workspaces;
}

class Adder {
 public:
  Adder(const Problem& problem, const std::vector<uint64_t>& programs)
      : problem_(problem), programs_(programs) {}

  PlanSum add(const std::vector<Placed>& plan) {
    for (size_t g = 0; g < plan.size(); ++g) {
      add_own(g, plan[g]);
      add_run(g == 0 ? nullptr : &plan[g - 1], plan[g]);
      for (size_t i = 0; i < plan[g].cells.size(); ++i) {
        add_linear(problem_.segments[g].linears[i], plan[g].cells[i]);
      }
      if (g + 1 < plan.size()) add_edge(g, plan[g], plan[g + 1]);
    }
    add_return(plan.back(), plan.front());
    double largest = 0.0;
    for (const auto& [compute, ns] : sum_.load) largest = std::max(largest, ns);
    if (problem_.objective == Objective::kThroughput) sum_.objective = largest;
    return sum_;
  }

 private:
  double weight(size_t phase) const {
    return phase == kPrefill ? 1.0 : problem_.workload.generate;
  }

  void add_time(size_t phase, double ns, double energy_nj) {
    sum_.ns[phase] += ns;
    const double runs = weight(phase);
    if (problem_.objective == Objective::kLatency) sum_.objective += runs * ns;
    if (problem_.objective == Objective::kEnergy) {
      sum_.objective += runs * energy_nj;
    }
    // A millisecond is worth a kilobyte.
    if (problem_.objective == Objective::kMemory) {
      sum_.objective += runs * ns * 1e-3;
    }
  }

  void busy(size_t phase, uint32_t device, double ns) {
    sum_.load[problem_.devices[device].compute] += weight(phase) * ns;
  }

  void hold(uint32_t device, double bytes) {
    sum_.held[problem_.devices[device].pool] += bytes;
    if (problem_.objective == Objective::kMemory) sum_.objective += bytes;
  }

  void hold_program(uint32_t device) {
    hold(device, static_cast<double>(programs_[device]));
  }

  // Programs and buffers serve both phases unless these may part.
  bool has_own(size_t phase) const {
    return phase == kPrefill || problem_.split_phases;
  }

  // Segments that follow each other on a device are one program.
  void add_run(const Placed* before, const Placed& placed) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t device = placed.devices[phase];
      const bool begins = before == nullptr || before->devices[phase] != device;
      if (begins && has_own(phase)) hold_program(device);
    }
  }

  void reach(uint32_t device, uint64_t bytes) {
    double& peak = sum_.peak[problem_.devices[device].pool];
    peak = std::max(peak, static_cast<double>(bytes));
  }

  void add_own(size_t g, const Placed& placed) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t device = placed.devices[phase];
      const Site& site = site_of(problem_, g, device);
      const Cost& cost = *site.costs[phase];
      add_time(phase, cost.ns, cost.energy_nj);
      busy(phase, device, cost.ns);
      if (phase == kDecode && device == placed.devices[kPrefill]) continue;
      hold(device, static_cast<double>(site.resident_bytes));
    }
  }

  void add_linear(const Linear& linear, const std::array<uint32_t, 2>& cells) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const Cell& cell =
          problem_.linear_classes[linear.linear_class].cells[cells[phase]];
      const Cost& cost = *cell.costs[phase];
      add_time(phase, cost.ns, cost.energy_nj);
      sum_.kl[phase] += linear.kl[cell.scheme];
      // The parts are programs, and so is what comes behind them.
      const bool divided = cell.parts.size() > 1 && has_own(phase);
      if (divided) hold_program(cell.host);
      for (const Part& part : cell.parts) {
        if (divided) hold_program(part.device);
        busy(phase, part.device,
             cell.parts.size() == 1 ? cost.ns : part.ns[phase]);
        if (phase == kDecode && cells[0] == cells[1]) continue;
        hold(part.device, static_cast<double>(part.weight_bytes));
        // Its program is made when the weight is loaded.
        reach(part.device, std::max(cell.load_bytes, programs_[part.device]) -
                               programs_[part.device]);
      }
    }
  }

  void add_edge(size_t g, const Placed& before, const Placed& after) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t from = before.devices[phase];
      const uint32_t to = after.devices[phase];
      if (from == to) continue;
      const uint64_t bytes = problem_.segments[g].out_bytes[phase];
      const TransferCurve& curve = curve_of(problem_, from, to);
      const double ns = curve.ns(bytes);
      add_time(phase, ns, 0.0);
      busy(phase, to, (1.0 - curve.overlap) * ns);
      if (!has_own(phase)) continue;
      hold(from, static_cast<double>(bytes));
      hold(to, static_cast<double>(bytes));
    }
  }

  void add_return(const Placed& last, const Placed& first) {
    for (size_t phase = 0; phase < 2; ++phase) {
      const uint32_t from = last.devices[phase];
      const uint32_t to = first.devices[phase];
      if (from == to) continue;
      const double ns = curve_of(problem_, from, to).return_ns[phase];
      add_time(phase, ns, 0.0);
      busy(phase, to, ns);
    }
  }

  const Problem& problem_;
  const std::vector<uint64_t>& programs_;
  PlanSum sum_;
};

// Every assignment, one after the other.
class Enumerator {
 public:
  using Visit = std::function<void(const std::vector<Placed>&)>;

  Enumerator(const Problem& problem, Visit visit)
      : problem_(problem), visit_(std::move(visit)) {
    plan_.resize(problem.segments.size());
  }

  void run() { choose_devices(0); }

 private:
  bool allows(const std::string& name, uint32_t device,
              const std::string& scheme) const {
    return rules_allow(problem_, name, problem_.devices[device].name, scheme);
  }

  void choose_devices(size_t g) {
    if (g == plan_.size()) {
      visit_(plan_);
      return;
    }
    const SegmentModel& segment = problem_.segments[g];
    const bool one = !problem_.split_phases ||
                     problem_.segment_classes[segment.segment_class].keeps_kv;
    const auto num_devices = static_cast<uint32_t>(problem_.devices.size());
    for (uint32_t first = 0; first < num_devices; ++first) {
      for (uint32_t second = 0; second < num_devices; ++second) {
        if (one && first != second) continue;
        if (!allows(segment.name, first, "") ||
            !allows(segment.name, second, "")) {
          continue;
        }
        plan_[g].devices = {first, second};
        plan_[g].cells.assign(segment.linears.size(), {});
        choose_cells(g, 0);
      }
    }
  }

  bool fits(const Linear& linear, uint32_t c, uint32_t host) const {
    const Cell& cell = problem_.linear_classes[linear.linear_class].cells[c];
    if (cell.host != host) return false;
    return std::all_of(cell.parts.begin(), cell.parts.end(),
                       [&](const Part& part) {
                         return allows(linear.name, part.device,
                                       problem_.schemes[cell.scheme]);
                       });
  }

  void choose_cells(size_t g, size_t i) {
    if (i == plan_[g].cells.size()) {
      choose_devices(g + 1);
      return;
    }
    const Linear& linear = problem_.segments[g].linears[i];
    const auto count = static_cast<uint32_t>(
        problem_.linear_classes[linear.linear_class].cells.size());
    for (uint32_t first = 0; first < count; ++first) {
      if (!fits(linear, first, plan_[g].devices[0])) continue;
      for (uint32_t second = 0; second < count; ++second) {
        if (!problem_.split_phases && second != first) continue;
        if (!fits(linear, second, plan_[g].devices[1])) continue;
        plan_[g].cells[i] = {first, second};
        choose_cells(g, i + 1);
      }
    }
  }

  const Problem& problem_;
  Visit visit_;
  std::vector<Placed> plan_;
};

bool within(double value, const std::optional<double>& limit) {
  return !limit || value <= *limit * (1.0 + 1e-12);
}

}  // namespace

double PlanSum::memory(uint32_t pool) const {
  const auto bytes = held.find(pool);
  const auto most = peak.find(pool);
  return (bytes == held.end() ? 0.0 : bytes->second) +
         (most == peak.end() ? 0.0 : most->second);
}

void visit_every_plan(const Problem& problem,
                      const std::function<void(const PlanSum&)>& visit) {
  const std::vector<uint64_t> programs = bytes_of_programs(problem);
  Enumerator(problem, [&](const std::vector<Placed>& plan) {
    visit(Adder(problem, programs).add(plan));
  }).run();
}

bool keeps_limits(const Problem& problem, const PlanSum& sum) {
  for (uint32_t pool = 0; pool < problem.pools.size(); ++pool) {
    if (sum.memory(pool) > static_cast<double>(problem.pools[pool].bytes)) {
      return false;
    }
  }
  const Limits& limits = problem.limits;
  return within(std::max(sum.kl[0], sum.kl[1]), limits.kl) &&
         within(sum.ns[kPrefill], limits.prefill_ns) &&
         within(sum.ns[kDecode], limits.decode_ns);
}

double best_of_every_plan(const Problem& problem) {
  double best = kNoPlan;
  visit_every_plan(problem, [&](const PlanSum& sum) {
    if (keeps_limits(problem, sum)) best = std::min(best, sum.objective);
  });
  return best;
}

}  // namespace tessera::planner
