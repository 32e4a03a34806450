// SPDX-License-Identifier: Apache-2.0
//
// From the planner's problem to the solver's chain, and back from a choice to
// devices and cells.

#pragma once

#include <array>
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

// Devices and cells by segment and linear, in both phases.
struct Assignment {
  struct Linear {
    std::array<uint32_t, 2> cells{};  // of the linear's class

    bool operator==(const Linear&) const = default;
  };
  struct Segment {
    std::array<uint32_t, 2> devices{};
    std::array<uint32_t, 2> sites{};  // of the segment's class
    std::vector<Linear> linears;

    bool operator==(const Segment&) const = default;
  };
  std::vector<Segment> segments;

  bool operator==(const Assignment&) const = default;
};

Assignment to_assignment(const Problem& problem, const BuiltChain& built,
                         const Choice& choice);

// The other way round.
//
// Errors  NOT_FOUND, naming the layer, if the chain lacks what is chosen
Result<Choice> to_choice(const Problem& problem, const BuiltChain& built,
                         const Assignment& assignment);

}  // namespace tessera::planner
