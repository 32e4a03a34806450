// SPDX-License-Identifier: Apache-2.0
//
// The chain as a mixed-integer linear program for a library that cuts and
// branches: on chains of some hundred items it proves what prices leave open.

#pragma once

#include <cstdint>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/relaxation.hpp"

namespace tessera::planner {

struct IntegerProgramLimits {
  uint32_t max_columns = 10000;  // larger chains are left alone
  uint32_t max_nodes = 500;
};

struct IntegerSolution {
  bool has_choice = false;
  Choice choice;
  // No plan that the restriction leaves costs less than the smaller of this and
  // `cutoff`; -kInfinity if the program was left alone.
  double bound = -kInfinity;
};

// Looks for a plan below `cutoff` among what `restriction` leaves.  Counts, not
// seconds, end it: the same chain gives the same plan.  Costs are counted in
// units of `cutoff`, so it should be no more than some hundred times the
// objective of a good plan.
//
// Source  Cbc 2.10, through its C interface; formulation: one binary per option
//         and per segment's site, flows between neighbouring sites, one column
//         per row for its largest peak, bounded below by each item's own
IntegerSolution solve_integer_program(const Chain& chain,
                                      const Restriction& restriction,
                                      double cutoff,
                                      const IntegerProgramLimits& limits);

}  // namespace tessera::planner
