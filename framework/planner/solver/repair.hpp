// SPDX-License-Identifier: Apache-2.0
//
// From a choice that breaks limits to one that keeps them.

#pragma once

#include <cstdint>
#include <span>

#include "framework/planner/solver/alternatives.hpp"
#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Changes single items, all segments staying where they are, until `choice`
// keeps the limits: first those that lose least at `prices` for what they take
// less of the limits that are broken.  False if that does not get there.
//
// prices  by row, near the best of a relaxation
// work    grows by what it took, counted as Incumbent::work() is
bool repair(const Chain& chain, const Alternatives& alternatives,
            std::span<const double> prices, Choice& choice, uint64_t& work);

}  // namespace tessera::planner
