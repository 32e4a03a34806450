// SPDX-License-Identifier: Apache-2.0
//
// Chains whose end leads back to their beginning, as steps that follow each
// other do.

#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

bool is_ring(const Chain& chain);

// The chain as if going back were free: no plan of `chain` has a smaller
// objective or uses less.
Chain without_returns(const Chain& chain);

// The plans of `chain` that begin at `first` in each phase, at what they cost:
// going back is charged where the last segment is entered.
//
// Requires  is_ring(chain), at least two segments
Chain opened_at(const Chain& chain,
                const std::array<uint32_t, kNumPhases>& first);

// Solves a ring by solving chains: the one that goes back for free and, unless
// its plan does, one for each way to begin.
//
// solve  as solve_chain(), of chains that are no rings
Solution solve_ring(const Chain& chain,
                    const std::function<Solution(const Chain&)>& solve);

}  // namespace tessera::planner
