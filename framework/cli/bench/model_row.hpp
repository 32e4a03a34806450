// SPDX-License-Identifier: Apache-2.0
//
// A row of `bench model`: the keys of docs/json.md.

#pragma once

#include <vector>

#include "framework/bench/limits/limit.hpp"
#include "framework/bench/model/model_timing.hpp"
#include "framework/cli/bench/model_options.hpp"

namespace tessera::cli {

// The row without figures.
Json row_head(const Setting& setting, const bench::ModelLoad& load);

// Adds what samples say; `machine_wander`: of median_interval().
void add_samples(const std::vector<bench::ModelSample>& samples,
                 const bench::ModelLoad& load, double machine_wander,
                 Json& row);

// What decoding is held against on this machine's processor.
struct StepReads {
  double bytes = 0.0;          // of a step
  bench::Limit best;           // of the reads of this run
  std::vector<double> per_ns;  // reads taken in turn with the samples
};

// Adds the limit of the decoding of `samples`, and the share reached.
void add_decode_limit(const std::vector<bench::ModelSample>& samples,
                      const StepReads& reads, Json& row);

// Adds where the time of `found` went.
void add_breakdown(const bench::Breakdown& found, Json& row);

}  // namespace tessera::cli
