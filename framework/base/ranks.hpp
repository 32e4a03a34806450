// SPDX-License-Identifier: Apache-2.0
//
// Values by their order alone, as tests without a law of the noise take them.

#pragma once

#include <span>
#include <vector>

namespace tessera {

// The rank of each value, from 1; equal ones share the mean of theirs.
std::vector<double> ranks_of(std::span<const double> values);

}  // namespace tessera
