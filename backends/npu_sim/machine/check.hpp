// SPDX-License-Identifier: Apache-2.0
//
// What the chip would refuse: no stream is trusted to fit.

#pragma once

#include <string>

#include "backends/npu_sim/machine/stream.hpp"
#include "backends/npu_sim/profile/profile.hpp"

namespace tessera::npu {

// Bytes of one of the core's own memories.
int64_t capacity_of(const Profile& profile, Space space);

// Why the instruction cannot run; empty if it can: a pipe that its opcode has
// not, a range beyond a memory, an address off its alignment, a type that the
// cube lacks.
std::string violation(const Profile& profile, const Stream::Core& core,
                      const Instruction& instruction);

}  // namespace tessera::npu
