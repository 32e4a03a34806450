// SPDX-License-Identifier: Apache-2.0
//
// How long steps of a program take, by the clock that the device speaks of.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/conformance/kit/trial/op_run.hpp"
#include "framework/host/device/device.hpp"

namespace tessera::conformance {

// One linear, prepared once and submitted over and over.
struct TimedOp {
  std::string name;
  OpSetup setup;
  uint64_t bytes = 0;       // that one step must read and write
  uint64_t operations = 0;  // multiplications and additions
  uint32_t phase = TSR_DECODE;
};

struct StepTimes {
  double median_ns = 0.0;
  double best_ns = 0.0;
  double spread = 0.0;     // (third quartile - first) / median
  double create_ns = 0.0;  // of the program
};

// Median of at least 9 steps, more while they are short, fewer while they are
// long.
// Errors: those of the device; UNIMPLEMENTED if its clock is simulated and it
// profiles nothing.
Result<StepTimes> time_steps(const std::shared_ptr<Device>& device,
                             const TimedOp& op);

// What the device says a step takes.
// Errors: UNIMPLEMENTED if it estimates nothing.
Result<double> estimated_ns(Device& device, const TimedOp& op);

// Correlation of the order of two lists, -1 to 1; 0 if either is constant.
// Source: Spearman, The American Journal of Psychology 15(1), 1904.
double rank_correlation(const std::vector<double>& a,
                        const std::vector<double>& b);

double median_of(std::vector<double> values);

}  // namespace tessera::conformance
