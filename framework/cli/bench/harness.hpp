// SPDX-License-Identifier: Apache-2.0
//
// What measuring itself takes, of time and of memory.

#pragma once

#include <cstddef>
#include <string>

#include "framework/cli/json_output.hpp"

namespace tessera::cli {

struct HarnessCost {
  double time_share = 0.0;  // of the timed time, in the worst row
  size_t num_samples = 0;   // numbers that are kept
};

HarnessCost ops_harness(const Json& rows);
HarnessCost model_harness(const Json& rows);

// A line for the end of a run; empty if nothing was timed.
std::string harness_text(const HarnessCost& cost);

}  // namespace tessera::cli
