// SPDX-License-Identifier: Apache-2.0
//
// EMBEDDING and GATHER_ROWS: copies of chosen rows.

#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/base/status.hpp"

namespace tessera::reference {

// y[i] = table[rows[i]], exactly.
//
// Shapes  table [num_rows, D]; rows [count]; y [count, D]
struct Gather {
  const float* table = nullptr;
  uint32_t num_rows = 0;
  uint32_t D = 0;
  const int32_t* rows = nullptr;
  uint32_t count = 0;
};

// Errors: INVALID_ARGUMENT, naming the id, if it is outside the table.
template <typename Out>
Status embedding(const Gather& p, Out* y);

// The same where `table` is an activation.
template <typename Out>
Status gather_rows(const Gather& p, Out* y);

}  // namespace tessera::reference
