// SPDX-License-Identifier: Apache-2.0
//
// Small random chains, and every choice of one tried in turn: what the solver
// is held against.

#pragma once

#include <cstdint>
#include <random>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

struct ChainShape {
  uint32_t num_sites = 2;
  uint32_t num_segments = 3;
  uint32_t max_items = 2;    // of a segment
  uint32_t num_schemes = 2;  // options of an item at a site
  bool loads = false;        // the largest load is part of the objective
  bool peaks = true;
  double tied_share = 0.5;          // of the segments
  double one_resident_share = 0.3;  // of the items
  // Capacities as shares of what the cheapest choice uses.
  double tightest = 0.3;
  double loosest = 1.1;
};

// Limits: memory of each site, filled by residents and peaks; one on the sum of
// an error in each phase that falls as cost rises.
Chain random_chain(const ChainShape& shape, std::mt19937& rng);

struct Exhausted {
  double objective = kInfinity;  // of the best choice within the limits
  uint64_t num_choices = 0;
  // Rows that the best choice without limits breaks.
  std::vector<bool> active;
};

// Tries every choice.  Shares no code with the solver.
Exhausted try_all(const Chain& chain);

}  // namespace tessera::planner
