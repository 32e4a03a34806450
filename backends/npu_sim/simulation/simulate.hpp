// SPDX-License-Identifier: Apache-2.0
//
// The library's front door: a profile and a problem in, time and energy out.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/npu_sim/compiler/options.hpp"
#include "backends/npu_sim/energy/energy.hpp"
#include "backends/npu_sim/machine/machine.hpp"
#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// Of one pipe, the mean over cores.
struct PipeUse {
  double busy_cycles = 0;
  double utilisation = 0;
};

struct Simulation {
  double cycles = 0;
  double time_ns = 0;        // first instruction to last, all cores
  double launch_ns = 0;      // comes on top, once a launch
  int64_t cores = 0;         // that had work
  int64_t vector_cores = 0;  // of these, those without a cube

  // Mean over the cores that have the pipe, cycles and share of `cycles`.
  // Where cube cores and vector cores work together, both have an MTE2 and a
  // scalar unit: these are the cube cores'.
  std::array<double, kNumPipes> busy_cycles{};
  std::array<double, kNumPipes> utilisation{};
  PipeUse vector_mte2;  // those of the vector cores then
  PipeUse vector_scalar;

  // Bytes and work, all cores.
  Counters counters;
  double l2_hit_rate = 0;  // of read bytes

  double operations = 0;          // of the problem, without padding
  double cube_utilisation = 0;    // against the cube's peak for its type
  double vendor_utilisation = 0;  // against the peak as sold

  EnergyEstimate energy;
  GemmTiling tiling;   // of a Gemm
  std::string kernel;  // what was chosen, for people
  std::vector<TraceEvent> trace;
  int64_t trace_events_left_out = 0;
};

// Runs the compiled problem on the event-driven machine.
//
// Errors  throws sdk::Error INVALID_ARGUMENT for a shape without elements or
//         beyond what the chip can address; UNIMPLEMENTED, naming the profile
//         and what would work, for types it lacks
// Threads any number at once
Simulation simulate(const Profile& profile, const Problem& problem,
                    const SimulateOptions& options = {});

// The same from the cost model alone, without a trace: some microseconds, and
// near simulate() in time; docs/npu_validation.md says how near.
Simulation estimate(const Profile& profile, const Problem& problem);

// The instructions that simulate() runs.
Stream compile(const Profile& profile, const Problem& problem,
               const SimulateOptions& options = {});

// simulate() and estimate() with results kept by shape.  One per open device;
// any number of threads at once.
class Simulator {
 public:
  explicit Simulator(Profile profile);
  ~Simulator();
  Simulator(Simulator&&) noexcept;
  Simulator& operator=(Simulator&&) noexcept;

  const Profile& profile() const;
  // Stays valid as long as the simulator.
  const Simulation& time(const Problem& problem);
  const Simulation& guess(const Problem& problem) const;
  int64_t num_simulated() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::npu
