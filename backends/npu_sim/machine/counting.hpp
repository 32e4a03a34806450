// SPDX-License-Identifier: Apache-2.0
//
// What an instruction adds to the counters besides L2 and DRAM.

#pragma once

#include <cstdint>

#include "backends/npu_sim/machine/machine.hpp"

namespace tessera::npu {

void count(const Instruction& instruction, Counters& counters);

}  // namespace tessera::npu
