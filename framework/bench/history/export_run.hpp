// SPDX-License-Identifier: Apache-2.0
//
// Runs in the shapes that other tools read.

#pragma once

#include <string>

#include "framework/bench/history/run_record.hpp"

namespace tessera::bench {

// One line for each sample, after a line of names; fields are quoted where
// RFC 4180 asks for it.
std::string to_csv(const RunRecord& run);

// What Google Benchmark writes with --benchmark_format=json: an "iteration" for
// each sample, then mean, median, stddev and cv of a case.  Times are wall
// times; cpu_time repeats them, for what a device computes is not the
// processor's time.
//
// Source  Google Benchmark, docs/user_guide.md, "Output Formats"
Json to_google_benchmark(const RunRecord& run);

}  // namespace tessera::bench
