// SPDX-License-Identifier: Apache-2.0
//
// Problems small enough to try every plan of.

#pragma once

#include <cstdint>

#include "framework/planner/problem/problem.hpp"

namespace tessera::planner {

// Two segments on two devices in two schemes, with any objective, limits,
// rules, divided linears, shared pools and cores; some have no plan.
Problem random_problem(uint32_t seed);

}  // namespace tessera::planner
