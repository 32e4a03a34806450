// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/challenge_forecast.hpp"

#include <algorithm>

namespace tessera::cli {

uint64_t WeightsSeen::add(const planner::Assignment& plan) {
  uint64_t bytes = 0;
  for (uint32_t g = 0; g < plan.segments.size(); ++g) {
    const planner::SegmentModel& segment = problem_.segments[g];
    for (uint32_t i = 0; i < segment.linears.size(); ++i) {
      const auto& cells =
          problem_.linear_classes[segment.linears[i].linear_class].cells;
      for (const uint32_t c : plan.segments[g].linears[i].cells) {
        if (!seen_.insert({g, i, c}).second) continue;
        for (const planner::Part& part : cells[c].parts) {
          bytes += part.weight_bytes;
        }
      }
    }
  }
  return bytes;
}

double forecast(const planner::Problem& problem, const Contender& own,
                const std::vector<const planner::Rival*>& rivals,
                const ChallengeWork& work) {
  const RunTimes own_times = run_times(problem.workload, own, own.prediction);
  WeightsSeen seen(problem);
  const auto own_bytes = static_cast<double>(seen.add(own.assignment));
  const double ns_per_byte = work.own_load_ns / std::max(own_bytes, 1.0);
  double ns = 0.0;
  for (const planner::Rival* rival : rivals) {
    const RunTimes times = run_times(problem.workload, own, rival->prediction);
    const double ratio = times.workload_ns / own_times.workload_ns;
    ns += ns_per_byte * static_cast<double>(seen.add(rival->assignment));
    ns += 2.0 * times.trial_ns;
    if (ratio > work.screening.hopeless) continue;
    const bool gives_up = ratio > work.screening.gives_up;
    ns += (gives_up ? 1 : work.screening.rounds) * times.run_ns;
  }
  const size_t slices = (rivals.size() + work.at_once - 1) / work.at_once;
  ns += static_cast<double>(slices) *
        (2.0 * own_times.trial_ns + work.screening.rounds * own_times.run_ns);
  for (const ChallengeWork::Race& race : work.races) {
    const auto plans =
        static_cast<double>(1 + std::min(race.rivals, rivals.size()));
    ns += race.length.loads *
          (work.own_load_ns + plans * (own_times.trial_ns +
                                       race.length.rounds * own_times.run_ns));
  }
  return ns;
}

}  // namespace tessera::cli
