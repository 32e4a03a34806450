// SPDX-License-Identifier: Apache-2.0
//
// Times ops of several devices in turns, so that what the machine does
// meanwhile hits all alike.

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/bench/measure/energy_meter.hpp"
#include "framework/bench/measure/placements.hpp"

namespace tessera::bench {

struct MeasureOptions {
  uint32_t repetitions = 15;  // samples of each op
  double batch_ns = 1e7;      // of one sample, at least
  // No sample begins later, once there are nine.
  double max_ns = 2e10;
  // Takes samples of what is no op of a device, once a round; may be empty.
  std::function<void()> after_round;
  // Of the processor, read around every sample; may be null.
  EnergyMeter* energy = nullptr;
};

struct Measurement {
  // Why there are no samples: the op failed, or its result is wrong.
  Status status;
  std::vector<double> wall_ns;  // of one op, by repetition
  // On the device's own clock; empty if it keeps no records.
  std::vector<double> device_ns;
  uint64_t energy_nj = 0;  // of one op, as the device tells; 0 if unknown
  // Of the processor during all timed ops; 0 if unknown.
  uint64_t processor_nj = 0;
  uint64_t ops = 0;       // timed
  size_t placements = 1;  // that the samples were taken of
  double timed_ns = 0.0;
  double harness_ns = 0.0;  // of timed_ns: reading the clock
};

// What reading the clock takes.
double clock_ns();

// Runs each op once and checks its result, warms it up, times it in one
// placement after the other, and checks what each wrote last.
std::vector<Measurement> measure(std::span<Placements* const> ops,
                                 const MeasureOptions& options);

}  // namespace tessera::bench
