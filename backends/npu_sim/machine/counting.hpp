// SPDX-License-Identifier: Apache-2.0
//
// What an instruction adds to the counters besides L2 and DRAM.

#pragma once

#include <cstdint>

#include "backends/npu_sim/machine/machine.hpp"

namespace tessera::npu {

void count(const Instruction& instruction, Counters& counters);

// The part of GM that a transfer touches, as a key of the L2 cache.
uint64_t region_of(const Instruction& instruction);

}  // namespace tessera::npu
