// SPDX-License-Identifier: Apache-2.0
//
// What the unzip engine makes of SPARSE_FIXED tiles.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/execution/execute.hpp"

namespace tessera::npu {

struct Region {
  int64_t row = 0;
  int64_t column = 0;
  int64_t rows = 0;
  int64_t columns = 0;
};

// The codes of a rectangle of the weight, row by row.
//
// Errors  throws sdk::Error INVALID_ARGUMENT if the region leaves the weight,
//         or a tile has too few bytes
std::vector<int8_t> expand_region(const Memory& gm, const Region& region);

}  // namespace tessera::npu
