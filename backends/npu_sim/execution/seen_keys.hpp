// SPDX-License-Identifier: Apache-2.0
//
// Which keys of a tile a row of scores sees.

#pragma once

#include <cstdint>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

struct SeenKeys {
  int64_t begin = 0;
  int64_t end = 0;  // begin if it sees none
};

// Of row `row` of an instruction over scores.
SeenKeys seen_keys(const Instruction& one, const AttentionFacts& facts,
                   size_t row);

}  // namespace tessera::npu
