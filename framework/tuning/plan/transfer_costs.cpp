// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/transfer_costs.hpp"

#include <algorithm>
#include <utility>

#include "framework/tuning/plan/host_copy.hpp"

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

// Of a step of either phase, the less.
double overlap_of(const std::array<double, 2>& ns,
                  const std::array<double, 2>& hidden) {
  double share = 1.0;
  for (const uint32_t phase : {kPrefill, kDecode}) {
    share = std::min(share, ns[phase] > 0.0 ? hidden[phase] / ns[phase] : 0.0);
  }
  return share;
}

}  // namespace

bool TransferCosts::has_clock(const Problem& problem, uint32_t device) const {
  return timed_ && !problem.devices[device].simulated;
}

// times  of one step; a prompt may take several
// ends   in it, of the device that is left and of the one that is entered
planner::TransferCurve TransferCosts::curve_of(
    uint32_t from, uint32_t to, const SwitchTimes& times,
    const std::array<size_t, 2>& ends) const {
  const std::array<double, 2>& ns = times.ns[ends[0]][ends[1]];
  const std::array<double, 2>& returns = times.returns[ends[0]][ends[1]];
  planner::TransferCurve curve{
      from,
      to,
      {{out_bytes_[kDecode], ns[kDecode]}},
      {probe_.prefill_steps() * returns[kPrefill], returns[kDecode]},
      overlap_of(ns, times.hidden[ends[0]][ends[1]])};
  if (out_bytes_[kPrefill] <= out_bytes_[kDecode]) return curve;
  // A larger copy takes no less.
  curve.points.push_back(
      {out_bytes_[kPrefill],
       probe_.prefill_steps() * std::max(ns[kPrefill], ns[kDecode])});
  return curve;
}

void TransferCosts::fill(Problem& problem) {
  problem.transfers.clear();
  const std::array<double, 2> copying{host_copy_ns(out_bytes_[kPrefill]),
                                      host_copy_ns(out_bytes_[kDecode])};
  for (uint32_t one = 0; one < devices_.size(); ++one) {
    for (uint32_t other = one + 1; other < devices_.size(); ++other) {
      SwitchTimes times(2);
      times.ns[0][1] = times.ns[1][0] = copying;
      if (has_clock(problem, one) && has_clock(problem, other)) {
        Result<SwitchTimes> found =
            probe_.probe_switches({devices_[one], devices_[other]});
        if (found.ok()) times = std::move(*found);
      }
      problem.transfers.push_back(curve_of(one, other, times, {0, 1}));
      problem.transfers.push_back(curve_of(other, one, times, {1, 0}));
    }
  }
}

}  // namespace tessera
