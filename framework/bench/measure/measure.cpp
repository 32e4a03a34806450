// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/measure/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kMinRepetitions = 9;
constexpr int kWarmUps = 2;

double nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

// Checks the first run, and finds how many make a sample.
Result<uint32_t> warm_up(TimedOp& op, double batch_ns) {
  TSR_RETURN_IF_ERROR(op.run());
  TSR_RETURN_IF_ERROR(op.check());
  double run_ns = INFINITY;
  for (int i = 0; i < kWarmUps; ++i) {
    const Clock::time_point begin = Clock::now();
    TSR_RETURN_IF_ERROR(op.run());
    run_ns = std::min(run_ns, nanoseconds_since(begin));
  }
  constexpr double kMostRuns = 1e5;
  return static_cast<uint32_t>(
      std::clamp(std::ceil(batch_ns / std::max(run_ns, 1.0)), 1.0, kMostRuns));
}

Status take_sample(Placements& placements, uint32_t runs, EnergyMeter* energy,
                   Measurement& result) {
  TSR_ASSIGN_OR_RETURN(TimedOp * placed, placements.next());
  TimedOp& op = *placed;
  if (energy != nullptr) energy->take_nj();
  const Clock::time_point begin = Clock::now();
  for (uint32_t i = 0; i < runs; ++i) TSR_RETURN_IF_ERROR(op.run());
  const double ns = nanoseconds_since(begin);
  const double ops = static_cast<double>(runs) * op.copies;
  result.wall_ns.push_back(ns / ops);
  result.timed_ns += ns;
  result.ops += uint64_t{runs} * op.copies;
  if (energy != nullptr) result.processor_nj += energy->take_nj();
  const Result<DeviceTime> time = op.run_profiled();
  if (time.ok()) {
    result.device_ns.push_back(time->ns);
    result.energy_nj = time->energy_nj;
  }
  return {};
}

}  // namespace

double clock_ns() {
  constexpr int kReads = 1000;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < kReads; ++i) static_cast<void>(Clock::now());
  return nanoseconds_since(begin) / kReads;
}

std::vector<Measurement> measure(std::span<Placements* const> ops,
                                 const MeasureOptions& options) {
  std::vector<Measurement> results(ops.size());
  std::vector<uint32_t> runs(ops.size());
  for (size_t i = 0; i < ops.size(); ++i) {
    Result<uint32_t> found = warm_up(ops[i]->first(), options.batch_ns);
    if (found.ok()) {
      runs[i] = *found;
    } else {
      results[i].status = std::move(found).status();
    }
  }
  const double clock = clock_ns();
  const Clock::time_point begin = Clock::now();
  for (uint32_t round = 0; round < options.repetitions; ++round) {
    if (round >= kMinRepetitions && nanoseconds_since(begin) > options.max_ns) {
      break;
    }
    for (size_t i = 0; i < ops.size(); ++i) {
      // Every other round backwards: nothing always comes after the same.
      const size_t turn = round % 2 == 0 ? i : ops.size() - 1 - i;
      Measurement& result = results[turn];
      if (!result.status.ok()) continue;
      result.status =
          take_sample(*ops[turn], runs[turn], options.energy, result);
      result.harness_ns += 2.0 * clock;
    }
    if (options.after_round) options.after_round();
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!results[i].status.ok()) continue;
    results[i].status = ops[i]->check();
    results[i].placements = ops[i]->size();
  }
  return results;
}

}  // namespace tessera::bench
