// SPDX-License-Identifier: Apache-2.0
//
// What a vector core does step after step: in, compute, out, with two buffers
// for what it reads and two for what it makes.

#pragma once

#include <cstdint>

#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// The flags of such steps; copies and computing stand between the calls.
class LaneSteps {
 public:
  static constexpr int64_t kBuffers = 2;

  // UB from `first_byte` on holds the buffers of what is read, then of what is
  // made.
  LaneSteps(Emitter& emit, int64_t first_byte, int64_t in_bytes,
            int64_t out_bytes);

  // In UB, of this step.
  int64_t input() const { return first_byte_ + reads_ % kBuffers * in_bytes_; }
  int64_t result() const {
    return first_byte_ + kBuffers * in_bytes_ + stores_ % kBuffers * out_bytes_;
  }

  void begin_reading();
  // The input has come; for a step with a result, its place is free.
  void begin_computing(bool has_result);
  // The input's place is free; what was made may leave.
  void end_computing(bool has_result);
  void end_storing();  // of a step with a result
  // Leaves all flags as the first step found them.
  void finish();

 private:
  Emitter& emit_;
  int64_t first_byte_;
  int64_t in_bytes_;
  int64_t out_bytes_;
  int64_t reads_ = 0;
  int64_t stores_ = 0;
};

// Brings `count` indices of the launch's list to `at` in UB and has the scalar
// unit read them, before any copy that MTE2 begins after this.
//
// The copies of MTE3 that they move come after what MTE2 reads.
void read_indices(int64_t at, int64_t first, int64_t count, Emitter& emit);

// Cycles that each pipe of a lane is busy with its share.
struct LaneTimes {
  double read = 0;
  double compute = 0;
  double write = 0;
};

// From the first read to the last write of `steps` alike ones, `depth` buffers
// deep.
double streamed_cycles(const Profile& profile, const LaneTimes& times,
                       double steps, double depth);

}  // namespace tessera::npu
