// SPDX-License-Identifier: Apache-2.0
//
// Which segment is in which state, and what differs little from that.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tessera::planner {

// The state of each segment.
using Arrangement = std::vector<uint32_t>;

// Arrangements in which one stretch at the end of a run, or a whole run, is in
// another state, or in which the ends of two runs moved alike.
std::vector<Arrangement> neighbors_of(const Arrangement& states,
                                      uint32_t num_states);

// What segments take of limits.
struct Bulks {
  uint32_t num_states = 0;
  uint32_t num_rows = 0;
  // [segment][state][row]: the part of a limit, 1 for all of it
  std::vector<double> parts;
};

// One run for each of `states`, in that order.  Runs are as long as `shares`
// (by state) say, then shifted as far as that keeps each within its limits.
//
// Requires  states not empty, their shares above 0
Arrangement runs_in_order(std::span<const uint32_t> states,
                          std::span<const double> shares, const Bulks& bulks);

}  // namespace tessera::planner
