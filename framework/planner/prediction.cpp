// SPDX-License-Identifier: Apache-2.0
//
// What an assignment costs, split by clock.

#include <algorithm>

#include "framework/planner/planner.hpp"

namespace tessera::planner {
namespace {

const char* clock_of(const DeviceModel& device) {
  return device.simulated ? "simulated" : "wall";
}

class Adder {
 public:
  Adder(const Problem& problem, Prediction& prediction)
      : problem_(problem), prediction_(prediction) {}

  void add(uint32_t phase, uint32_t device, const Cost& cost) {
    auto& times =
        phase == kPrefill ? prediction_.prefill_ns : prediction_.decode_ns;
    times[clock_of(problem_.devices[device])] += cost.ns;
    const double runs = phase == kPrefill ? 1.0 : problem_.workload.generate;
    prediction_.energy_nj += runs * cost.energy_nj;
  }

  // Moving counts on the clock of the machine that does it: the host's, unless
  // both ends are simulated.
  void add_transfer(uint32_t phase, uint32_t from, uint32_t to,
                    uint64_t bytes) {
    const TransferCurve* const curve = find_curve(from, to);
    if (curve == nullptr) return;
    Cost cost;
    cost.ns = curve->ns(bytes);
    add(phase, problem_.devices[from].simulated ? to : from, cost);
  }

  // From the last device of a step back to the first.
  void add_return(uint32_t phase, uint32_t last, uint32_t first) {
    const TransferCurve* const curve = find_curve(last, first);
    if (curve == nullptr) return;
    Cost cost;
    cost.ns = curve->return_ns[phase];
    add(phase, first, cost);
  }

 private:
  // Null where nothing is moved.
  const TransferCurve* find_curve(uint32_t from, uint32_t to) const {
    const auto found = std::find_if(
        problem_.transfers.begin(), problem_.transfers.end(),
        [&](const TransferCurve& c) { return c.from == from && c.to == to; });
    return from == to || found == problem_.transfers.end() ? nullptr : &*found;
  }

  const Problem& problem_;
  Prediction& prediction_;
};

}  // namespace

Result<Prediction> predict(const Problem& problem, const BuiltChain& built,
                           const Assignment& assignment) {
  TSR_ASSIGN_OR_RETURN(const Choice choice,
                       to_choice(problem, built, assignment));
  const Totals totals = add_up(built.chain, choice);
  Prediction prediction;
  prediction.objective = objective_of(built.chain, totals);
  prediction.feasible = is_feasible(built.chain, totals);
  Adder adder(problem, prediction);
  std::array<double, 2> kl{};
  for (uint32_t g = 0; g < problem.segments.size(); ++g) {
    const SegmentModel& segment = problem.segments[g];
    const Assignment::Segment& chosen = assignment.segments[g];
    const auto& sites = problem.segment_classes[segment.segment_class].sites;
    for (uint32_t phase = 0; phase < 2; ++phase) {
      const uint32_t device = chosen.devices[phase];
      adder.add(phase, device, *sites[chosen.sites[phase]].costs[phase]);
      for (uint32_t i = 0; i < segment.linears.size(); ++i) {
        const Linear& linear = segment.linears[i];
        const Cell& cell = problem.linear_classes[linear.linear_class]
                               .cells[chosen.linears[i].cells[phase]];
        adder.add(phase, cell.parts.front().device, *cell.costs[phase]);
        kl[phase] += linear.kl[cell.scheme];
      }
      if (g + 1 < problem.segments.size()) {
        adder.add_transfer(phase, device,
                           assignment.segments[g + 1].devices[phase],
                           segment.out_bytes[phase]);
      }
    }
  }
  for (uint32_t phase = 0; phase < 2; ++phase) {
    adder.add_return(phase, assignment.segments.back().devices[phase],
                     assignment.segments.front().devices[phase]);
  }
  prediction.kl = std::max(kl[kPrefill], kl[kDecode]);
  for (uint32_t r = 0; r < built.chain.rows.size(); ++r) {
    if (built.meanings[r] != RowMeaning::kMemory) continue;
    prediction.memory[problem.pools[r].name] =
        static_cast<uint64_t>(totals.sums[r] + totals.peaks[r]);
  }
  return prediction;
}

}  // namespace tessera::planner
