// SPDX-License-Identifier: Apache-2.0
//
// The chip in time: cores with pipes, flags between them, and shared memory.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// One busy interval of one pipe.
struct TraceEvent {
  int32_t core = 0;
  Pipe pipe = Pipe::kScalar;
  const char* name = "";
  double begin_cycle = 0;
  double end_cycle = 0;
};

// What a run counted.
struct Counters {
  // Of all cores that have a cube, and of all others.
  std::array<double, kNumPipes> busy_cycles{};
  std::array<double, kNumPipes> vector_core_busy_cycles{};
  double dram_read_bytes = 0;
  double dram_write_bytes = 0;
  double l2_read_bytes = 0;
  double l2_write_bytes = 0;
  double l2_hit_bytes = 0;  // of those read
  double l1_read_bytes = 0;
  double l1_write_bytes = 0;
  double l0_bytes = 0;
  double gm_to_ub_bytes = 0;
  double ub_to_gm_bytes = 0;
  double ub_to_l1_bytes = 0;
  double vector_read_bytes = 0;  // of UB
  double vector_write_bytes = 0;
  double unzip_bytes = 0;
  double macs_f16 = 0;  // bf16 too
  double macs_f8 = 0;
  double macs_s8 = 0;
  double macs_s4 = 0;
  double vector_elements = 0;
  int64_t instructions = 0;

  double ub_bytes() const {
    return gm_to_ub_bytes + ub_to_gm_bytes + ub_to_l1_bytes +
           vector_read_bytes + vector_write_bytes;
  }
};

struct MachineRun {
  double cycles = 0;  // until the last instruction is complete
  int64_t cores_used = 0;
  int64_t vector_cores_used = 0;  // of these, those without a cube
  Counters counters;
  std::vector<TraceEvent> trace;  // the first kMostTraceEvents
  int64_t trace_events_left_out = 0;
};

// What a browser still opens: about 200 MB of JSON.
inline constexpr size_t kMostTraceEvents = 1'000'000;

// Instructions, a transfer through shared memory counting as 17: about half a
// minute of one host core, 32768 cubed among it.
inline constexpr double kMostWork = 3e8;

// Runs a stream.  Instructions of a pipe run in the stream's order; pipes of a
// core run beside each other, held back by flags alone.  The scalar unit hands
// instructions out in the stream's order, 32 to a pipe's queue; what each costs
// it, and the lists that it reads, is what its pipe is busy with.
//
// Errors  throws sdk::Error INVALID_ARGUMENT for a stream of more work than
//         `most_work`; INTERNAL, naming the core, the instruction and the
//         operand, if one does not fit the chip; or, with every flag that is
//         waited for, if the stream is stuck
MachineRun run_stream(const Profile& profile, const Stream& stream,
                      bool with_trace, double most_work = kMostWork);

}  // namespace tessera::npu
