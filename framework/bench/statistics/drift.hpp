// SPDX-License-Identifier: Apache-2.0
//
// Whether a machine was one and the same while it was timed.

#pragma once

#include <span>

namespace tessera::bench {

// True if samples that stand next to each other, in the order they were taken,
// are more alike than chance would have it: the machine slowed down or
// recovered meanwhile, and an interval made from its noise says too little of
// what a longer run finds.  Noise without memory is called so in 1 % of cases,
// whatever its distribution; fewer than 10 samples never are.
//
// Source  the rank version of von Neumann's ratio: Bartels, Journal of the
//         American Statistical Association 77, 1982, by its normal
//         approximation
bool drifts(std::span<const double> samples);

// How alike samples are that stand next to each other, in the order they were
// taken: the correlation of their ranks, from -1 to 1, 0 of noise without
// memory, of equal samples and of fewer than 7.
//
// Source  the bias of few samples: Kendall, Biometrika 41, 1954
double neighbour_correlation(std::span<const double> samples);

}  // namespace tessera::bench
