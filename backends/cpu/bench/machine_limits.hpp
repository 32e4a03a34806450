// SPDX-License-Identifier: Apache-2.0
//
// What the machine can do at most: reads of given bytes, and multiply-adds from
// registers.  Benchmarks run these beside what they time.

#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/parallel.hpp"

namespace tessera::cpu {

// What multiply-adds are counted in.
enum class Peak { kF32, kBf16, kInt8 };

// Now, in ns: CPU time of the calling thread if it works alone, so that other
// programs do not count; else wall time.
double clock_ns(const Parallel& parallel);

// Reads `bytes` from `data` once, shared out over all threads as `num_streams`
// sequences each.
void read_all(const Parallel& parallel, const std::byte* data, int64_t bytes,
              int64_t num_streams);

// Runs multiply-adds of that type from registers on every thread; returns the
// operations done, 0 if this machine has no such instruction.
double run_peak(const Parallel& parallel, Peak peak);

}  // namespace tessera::cpu
