// SPDX-License-Identifier: Apache-2.0
//
// Offers linears divided over two devices.

#pragma once

#include <cstdint>
#include <functional>

#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

// Adds to every linear class, for each cell of one part, one that gives rows to
// another device, with the cut that makes the class fastest, where that is
// faster than the cell alone.  Both devices keep to one clock and share no
// cores; time is taken to fall with rows, and inputs and results travel once
// each way.  Classes that have divided cells already stay as they are.
//
// may_pair  whether two devices, by index, can pass each other what linears
//           read and write; null: all can
void offer_divided_cells(
    Problem& problem,
    const std::function<bool(uint32_t, uint32_t)>& may_pair = nullptr);

}  // namespace tessera::planner
