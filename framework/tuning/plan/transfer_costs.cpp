// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/transfer_costs.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

namespace tessera {
namespace {

using planner::kDecode;
using planner::kPrefill;
using planner::Problem;

// Of copying between memory that the host sees, as a session does where its
// programs meet.
double copy_ns(uint64_t bytes) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRuns = 5;
  const std::vector<std::byte> source(bytes, std::byte{1});
  std::vector<std::byte> target(bytes);
  double least = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    const Clock::time_point begin = Clock::now();
    std::memcpy(target.data(), source.data(), bytes);
    const double ns =
        std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    // Read back, so that the copy is not left out.
    if (target[bytes / 2] != std::byte{1}) return 0.0;
    least = run == 0 ? ns : std::min(least, ns);
  }
  return least;
}

}  // namespace

bool TransferCosts::has_clock(const Problem& problem, uint32_t device) const {
  return timed_ && !problem.devices[device].simulated;
}

// ns, returns  of one step, by phase; a prompt may take several
planner::TransferCurve TransferCosts::curve_of(
    uint32_t from, uint32_t to, const std::array<double, 2>& ns,
    const std::array<double, 2>& returns) const {
  planner::TransferCurve curve{
      from,
      to,
      {{out_bytes_[kDecode], ns[kDecode]}},
      {probe_.prefill_steps() * returns[kPrefill], returns[kDecode]}};
  if (out_bytes_[kPrefill] <= out_bytes_[kDecode]) return curve;
  // A larger copy takes no less.
  curve.points.push_back(
      {out_bytes_[kPrefill],
       probe_.prefill_steps() * std::max(ns[kPrefill], ns[kDecode])});
  return curve;
}

void TransferCosts::fill(Problem& problem) {
  problem.transfers.clear();
  const std::array<double, 2> copying{copy_ns(out_bytes_[kPrefill]),
                                      copy_ns(out_bytes_[kDecode])};
  for (uint32_t one = 0; one < devices_.size(); ++one) {
    for (uint32_t other = one + 1; other < devices_.size(); ++other) {
      SwitchTimes times(2);
      times.ns[0][1] = times.ns[1][0] = copying;
      if (has_clock(problem, one) && has_clock(problem, other)) {
        Result<SwitchTimes> found =
            probe_.probe_switches({devices_[one], devices_[other]});
        if (found.ok()) times = std::move(*found);
      }
      problem.transfers.push_back(
          curve_of(one, other, times.ns[0][1], times.returns[0][1]));
      problem.transfers.push_back(
          curve_of(other, one, times.ns[1][0], times.returns[1][0]));
    }
  }
}

}  // namespace tessera
