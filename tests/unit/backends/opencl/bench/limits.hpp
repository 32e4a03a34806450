// SPDX-License-Identifier: Apache-2.0
//
// What the device can do at most: bytes read from memory and f32 operations.

#pragma once

#include <cstdint>
#include <memory>

namespace tessera::opencl {

// By the wall, and by the time that the process had the processors, all of them
// together: the second holds on a busy machine too, for code that never sleeps.
struct Rate {
  double wall = 0.0;
  double processor = 0.0;
};

// Time since it was made.
class Stopwatch {
 public:
  Stopwatch();
  // Seconds; those of `processor` divided by the device's compute units.
  Rate elapsed(uint32_t compute_units) const;

 private:
  static Rate now();

  Rate begin_;
};

// Measures anew at each call, so that it can stand beside what it limits.
class Limits {
 public:
  // On the first OpenCL device of this machine.  Throws sdk::Error.
  Limits();
  ~Limits();
  Limits(const Limits&) = delete;
  Limits& operator=(const Limits&) = delete;

  uint32_t compute_units() const;

  // GB/s over 512 MiB, by the best of several ways to read and, on a CPU, of
  // pages of 4 KiB and of 2 MiB.
  Rate read();
  // GFLOP/s of independent chains of fused multiply-adds, as many as are best.
  Rate fma();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::opencl
