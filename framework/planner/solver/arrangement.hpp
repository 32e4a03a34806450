// SPDX-License-Identifier: Apache-2.0
//
// Which segment is in which state, what differs little from that, and where
// runs of segments in one state best end.

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

// What each segment costs in every state, and what it costs to go on.
struct PriceTable {
  uint32_t num_states = 0;
  std::vector<double> segments;   // [segment][state]
  std::vector<uint32_t> edge_of;  // by segment but the last
  std::vector<double> edges;      // [edge][from][to]

  double of(size_t segment, uint32_t state) const {
    return segments[segment * num_states + state];
  }
  double edge(size_t segment, uint32_t from, uint32_t to) const {
    return edges[(size_t{edge_of[segment]} * num_states + from) * num_states +
                 to];
  }
};

double price_of(const PriceTable& table, const Arrangement& states);

// The state of each run.
std::vector<uint32_t> order_of(const Arrangement& states);

// Runs with the states of `order`, in that order, none of them empty.
struct Runs {
  double price = 0.0;          // infinite if there are none
  std::vector<uint32_t> ends;  // where each run ends
};

// The cheapest.
//
// Requires  order not empty
Runs cheapest_runs(const PriceTable& table, std::span<const uint32_t> order);

Arrangement arrange(std::span<const uint32_t> order,
                    std::span<const uint32_t> ends);

}  // namespace tessera::planner
