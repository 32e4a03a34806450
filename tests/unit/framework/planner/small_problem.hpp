// SPDX-License-Identifier: Apache-2.0
//
// A problem that fits on a page: two layers, a small fast device and a large
// slow one, two precisions.

#pragma once

#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

// Device 0 is "big": slow, with room for all.  Device 1 is "fast": ten times
// quicker, with room for one layer in 8 bits.  Scheme 0 is exact, scheme 1
// takes half the bytes and time and adds KL 0.01 a linear.
Problem small_problem();

}  // namespace tessera::planner
