// SPDX-License-Identifier: Apache-2.0
//
// A simulated launch for other tools and for the eye: a timeline, the
// profiler's tables, a picture.

#pragma once

#include <string>
#include <vector>

#include "backends/npu_sim/simulation/simulate.hpp"

namespace tessera::npu {

// One launch and what came of it.
struct Kernel {
  std::string label;
  Problem problem;
  Simulation result;
};

// The trace-event JSON that Chrome and Perfetto open: a process for each core,
// a thread for each pipe, times in microseconds of the simulated clock.
// Launches follow one another.
//
// Requires  each result was simulated with options.trace.
std::string chrome_trace(const Profile& profile,
                         const std::vector<Kernel>& kernels);

struct Table {
  std::string file_name;  // "PipeUtilization.csv"
  std::string text;
};

// Tables with the column names of the vendor's profiler, a line for each
// launch.  There is no fixpipe column for a chip without one.
std::vector<Table> profiler_tables(const Profile& profile,
                                   const std::vector<Kernel>& kernels);

// A picture of all launches: the roofline of the chip with a point for each,
// and below it the share of time that each pipe was busy.
std::string roofline_svg(const Profile& profile,
                         const std::vector<Kernel>& kernels);

}  // namespace tessera::npu
