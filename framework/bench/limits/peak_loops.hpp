// SPDX-License-Identifier: Apache-2.0
//
// Loops that do nothing but multiply and add, in every instruction set that
// this processor has: what its peak is measured with.

#pragma once

#include <cstdint>
#include <vector>

namespace tessera::bench {

// What kind of product a loop counts, and a kernel is held against.
enum class Compute { kF32, kBf16, kInt8 };

struct PeakLoop {
  const char* name;  // "avx512 vnni"
  Compute compute;
  double ops_per_step;  // a multiplication and an addition are two
  // Runs that many steps on the calling thread.
  void (*run)(int64_t steps);
};

// Those that this processor, and the operating system, can run.
std::vector<PeakLoop> peak_loops();

}  // namespace tessera::bench
