// SPDX-License-Identifier: Apache-2.0
//
// From the planner's problem to the solver's chain.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// What a row of the chain limits.
enum class RowMeaning { kMemory, kKl, kTime, kLoad };

struct BuiltChain {
  Chain chain;
  std::vector<RowMeaning> meanings;    // by row
  std::vector<uint32_t> option_index;  // by option: a cell, or a site
  std::vector<uint32_t> segment_of_item;
  std::vector<uint32_t> linear_of_item;  // kNone: the segment's own ops
};

// Errors  INVALID_ARGUMENT if `problem` fails its check;
//         UNIMPLEMENTED if no device can run a segment, naming why each cannot
Result<BuiltChain> build_chain(const Problem& problem);

}  // namespace tessera::planner
