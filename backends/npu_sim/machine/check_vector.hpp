// SPDX-License-Identifier: Apache-2.0
//
// The operands of a vector instruction.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/machine/stream.hpp"

namespace tessera::npu {

struct UbOperand {
  const char* name = "";
  uint64_t begin = 0;
  int64_t bytes = 0;
};

// Requires  an instruction of kVector.
std::vector<UbOperand> vector_operands(const Instruction& one);

}  // namespace tessera::npu
