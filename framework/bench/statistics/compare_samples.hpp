// SPDX-License-Identifier: Apache-2.0
//
// Whether two runs differ by more than chance, row by row.

#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace tessera::bench {

// Two-sided: how likely samples of one law would lie as far apart as these, or
// farther.  1 if either is empty.
//
// Source  Mann and Whitney, Annals of Mathematical Statistics 18, 1947: exact
//         of up to 40 samples without ties, else the normal approximation,
//         corrected for ties and continuity
double mann_whitney_p(std::span<const double> a, std::span<const double> b);

// The smallest that it gives for so many samples: of two groups that do not
// overlap at all.
double least_mann_whitney_p(size_t n, size_t m);

// Of several tests: p values so adjusted that rejecting those below alpha is
// wrong anywhere with probability alpha at most.
//
// Source  Holm, Scandinavian Journal of Statistics 6, 1979
std::vector<double> holm_adjusted(std::span<const double> p);

}  // namespace tessera::bench
