// SPDX-License-Identifier: Apache-2.0
//
// Whether a machine was one and the same while it was timed.

#pragma once

#include <span>

namespace tessera::bench {

// True if samples that stand next to each other, in the order they were taken,
// are more alike than chance would have it: the machine slowed down or
// recovered meanwhile.  Noise without memory is called so in 1 % of cases,
// whatever its distribution; fewer than 10 samples never are.
//
// Source  the rank version of von Neumann's ratio: Bartels, Journal of the
//         American Statistical Association 77, 1982, by its normal
//         approximation
bool drifts(std::span<const double> samples);

}  // namespace tessera::bench
