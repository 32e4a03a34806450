// SPDX-License-Identifier: Apache-2.0
//
// What the planner decides, in the problem's terms, and the same as a choice of
// the chain that was built from it.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "framework/base/status.hpp"
#include "framework/planner/problem/build_chain.hpp"
#include "framework/planner/problem/problem.hpp"
#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

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
