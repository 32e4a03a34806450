// SPDX-License-Identifier: Apache-2.0
//
// Cheapest paths over (segment, state) of a chain, which pass all sites that
// must be used: without that, a mix of paths pays for entering a site only as
// far as it goes there.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/states.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.  Set all prices, then find().
//
// Source  dynamic programming over subsets: Held and Karp, Journal of the
//         Society for Industrial and Applied Mathematics 10(1), 1962
class SitePaths {
 public:
  explicit SitePaths(const Chain& chain);

  // Paths use each of these sites in some segment and phase, as far as there
  // are no more than a few: tables double with each, and what is left out only
  // makes paths cheaper.
  //
  // needed  by site: 1 if it must be used
  void need(std::span<const uint8_t> needed);

  // Prices of a segment, by state.
  std::span<double> segment_prices(uint32_t segment) {
    return {&value_[size_t{segment} * num_states_], num_states_};
  }
  // Prices of an edge in a phase, [from * num_sites + to].
  std::span<double> edge_prices(size_t edge, uint32_t phase) {
    return edge_price_[edge][phase];
  }
  double edge_price(uint32_t edge, uint32_t from, uint32_t to) const;

  // What the cheapest path costs; kInfinity if there is none.
  double find();
  // Its states, by segment.
  //
  // Requires  the last find() was finite
  void trace(std::span<uint32_t> out_states) const;

  // Prepares what follows, for the last find().
  void find_ways();
  // The cheapest path that has `segment` in `state`.
  double through(uint32_t segment, uint32_t state) const {
    return through_[size_t{segment} * num_states_ + state];
  }
  // Of sites that must be used, a bit for each that a state uses.
  uint32_t used_by(uint32_t state) const { return used_by_[state]; }
  // From `state` of `segment`, its price included, to the end, where the
  // segments before it have used `used`.
  double onwards(uint32_t segment, uint32_t state, uint32_t used) const;

 private:
  size_t at(size_t segment, uint32_t used) const {
    return (segment * num_used_ + used) * num_states_;
  }
  void pass(const double* from, uint32_t edge, double* to, bool forward) const;
  void step_back(size_t segment, uint32_t& state, uint32_t& used) const;

  const Chain& chain_;
  States states_;
  uint32_t num_states_;
  uint32_t num_used_ = 1;          // sets of sites used
  std::vector<uint32_t> used_by_;  // by state
  // [edge][phase][from * num_sites + to]
  std::vector<std::array<std::vector<double>, kNumPhases>> edge_price_;
  std::vector<double> value_;    // [segment][state]
  std::vector<double> forward_;  // [segment][used][state], that segment's too
  // [segment][used, that segment's too][state]: from behind it to the end
  std::vector<double> backward_;
  std::vector<double> through_;  // [segment][state]
  mutable std::vector<double> between_;
};

}  // namespace tessera::planner
