// SPDX-License-Identifier: Apache-2.0

#include "backends/npu_sim/compiler/rows/lane_steps.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

constexpr int64_t kIndexFlag = 0;
constexpr int64_t kIndexBytes = 4;

}  // namespace

LaneSteps::LaneSteps(Emitter& emit, int64_t first_byte, int64_t in_bytes,
                     int64_t out_bytes)
    : emit_(emit),
      first_byte_(first_byte),
      in_bytes_(in_bytes),
      out_bytes_(out_bytes) {
  for (int64_t b = 0; b < kBuffers; ++b) {
    emit_.set(Pipe::kVector, Pipe::kMte2, b);
    emit_.set(Pipe::kMte3, Pipe::kVector, b);
  }
}

void LaneSteps::begin_reading() {
  emit_.wait(Pipe::kVector, Pipe::kMte2, reads_ % kBuffers);
}

void LaneSteps::begin_computing(bool has_result) {
  emit_.set(Pipe::kMte2, Pipe::kVector, reads_ % kBuffers);
  emit_.wait(Pipe::kMte2, Pipe::kVector, reads_ % kBuffers);
  if (has_result) emit_.wait(Pipe::kMte3, Pipe::kVector, stores_ % kBuffers);
}

void LaneSteps::end_computing(bool has_result) {
  emit_.set(Pipe::kVector, Pipe::kMte2, reads_ % kBuffers);
  ++reads_;
  if (!has_result) return;
  emit_.set(Pipe::kVector, Pipe::kMte3, stores_ % kBuffers);
  emit_.wait(Pipe::kVector, Pipe::kMte3, stores_ % kBuffers);
}

void LaneSteps::end_storing() {
  emit_.set(Pipe::kMte3, Pipe::kVector, stores_ % kBuffers);
  ++stores_;
}

void LaneSteps::finish() {
  for (int64_t b = 0; b < kBuffers; ++b) {
    emit_.wait(Pipe::kVector, Pipe::kMte2, b);
    emit_.wait(Pipe::kMte3, Pipe::kVector, b);
  }
}

void read_indices(int64_t at, int64_t first, int64_t count, Emitter& emit) {
  const int64_t bytes = count * kIndexBytes;
  emit.copy_in(
      Space::kUb, at,
      {gm_address(Tensor::kIndices, first * kIndexBytes), 1, bytes, bytes});
  emit.set(Pipe::kMte2, Pipe::kScalar, kIndexFlag);
  emit.wait(Pipe::kMte2, Pipe::kScalar, kIndexFlag);
  emit.scalar(static_cast<double>(count));
  emit.set(Pipe::kScalar, Pipe::kMte2, kIndexFlag);
  emit.wait(Pipe::kScalar, Pipe::kMte2, kIndexFlag);
}

double streamed_cycles(const Profile& profile, const LaneTimes& times,
                       double steps, double depth) {
  // A buffer is read, computed and written before it is read again.
  const double once = (times.read + times.compute + times.write) / steps +
                      profile.global.read_latency_cycles +
                      profile.vector.latency_cycles;
  const double each =
      std::max({times.read, times.compute, times.write}) / steps;
  const double waits = std::max(0.0, once / depth - each);
  return once + (steps - 1) * each + std::max(0.0, steps - depth) * waits +
         profile.global.write_latency_cycles;
}

}  // namespace tessera::npu
