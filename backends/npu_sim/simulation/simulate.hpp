// SPDX-License-Identifier: Apache-2.0
//
// The library's front door: a profile and a problem in, time and energy out.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/problem/problem.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// How a product is cut.  Zeros are chosen by the compiler.
struct GemmTiling {
  int64_t tile_m = 0;  // of one accumulator tile
  int64_t tile_n = 0;
  int64_t tile_k = 0;               // of one MMAD
  int64_t packet_k = 0;             // along K brought to L1 at once
  int64_t split_k = 0;              // cores that share one tile's K
  int64_t swizzle = 0;              // rows of tiles visited before moving right
  bool double_accumulator = false;  // two tiles in L0C
};

struct SimulateOptions {
  bool trace = false;
  GemmTiling tiling;          // what to force
  bool double_buffer = true;  // false: one buffer of each kind
  bool swizzle = true;        // false: row after row of tiles
};

// One busy interval of one pipe.
struct TraceEvent {
  int32_t core = 0;
  Pipe pipe = Pipe::kScalar;
  const char* name = "";
  double begin_cycle = 0;
  double end_cycle = 0;
};

struct EnergyEstimate {
  // Joules: low, mid, high.  An estimate from tables, never a measurement.
  std::array<double, 3> joules{};
  std::array<double, 3> static_joules{};  // the part that time alone costs
};

struct Simulation {
  double cycles = 0;
  double time_ns = 0;    // first instruction to last, all cores
  double launch_ns = 0;  // comes on top, once a launch
  int64_t cores = 0;     // that had work

  // Mean over the cores that have the pipe, cycles and share of `cycles`.
  std::array<double, kNumPipes> busy_cycles{};
  std::array<double, kNumPipes> utilisation{};

  // Bytes moved, all cores.
  double dram_read_bytes = 0;
  double dram_write_bytes = 0;
  double l2_read_bytes = 0;  // by cores, hits and misses
  double l2_write_bytes = 0;
  double l1_read_bytes = 0;  // L1 -> L0
  double l1_write_bytes = 0;
  double l0_bytes = 0;
  double ub_bytes = 0;
  double unzip_bytes = 0;  // written by the unzip engines
  double l2_hit_rate = 0;  // of read bytes

  double macs_f16 = 0;  // with the padding of fractals
  double macs_s8 = 0;
  double macs_s4 = 0;
  double vector_elements = 0;

  double operations = 0;          // of the problem, without padding
  double cube_utilisation = 0;    // against the cube's peak for its type
  double vendor_utilisation = 0;  // against the peak as sold

  EnergyEstimate energy;
  GemmTiling tiling;   // of a Gemm
  std::string kernel;  // what was chosen, for people
  int64_t instructions = 0;
  std::vector<TraceEvent> trace;
};

// Runs the compiled problem on the event-driven machine.
//
// Errors  throws sdk::Error INVALID_ARGUMENT for a shape without elements or
//         beyond what the chip can address; UNIMPLEMENTED, naming the profile
//         and what would work, for types it lacks
// Threads any number at once
Simulation simulate(const Profile& profile, const Problem& problem,
                    const SimulateOptions& options = {});

// The same from the cost model alone, without a trace: under 10 microseconds,
// and within 15 % of simulate() in time.
Simulation estimate(const Profile& profile, const Problem& problem);

// The instructions that simulate() runs.
Stream compile(const Profile& profile, const Problem& problem,
               const SimulateOptions& options = {});

// simulate() with results kept by shape.  One per open device.
class Simulator {
 public:
  explicit Simulator(Profile profile);
  ~Simulator();
  Simulator(Simulator&&) noexcept;
  Simulator& operator=(Simulator&&) noexcept;

  const Profile& profile() const;
  // Stays valid as long as the simulator.
  const Simulation& time(const Problem& problem);
  int64_t num_simulated() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::npu
