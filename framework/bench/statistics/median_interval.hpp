// SPDX-License-Identifier: Apache-2.0
//
// The median of repeated timings, and how far it can be trusted.

#pragma once

#include <span>

namespace tessera::bench {

struct MedianInterval {
  double min = 0.0;
  double median = 0.0;
  double low = 0.0;  // of the 95 % interval
  double high = 0.0;
  double wander = 0.0;  // that the interval is wider for
};

// The interval covers the median of a run ten times as long in 95 % of cases,
// whatever the distribution; with fewer than 7 samples it is their whole range,
// which covers it less often.  A machine whose speed wanders is another one in
// the longer run: the interval is wider by what `machine_wander` says, a share
// as of wander_of() that was measured over a longer time, or by what the
// samples show in the order they were taken, whichever is more.  The further
// apart runs are the more: if `run_ns`, for how long samples were taken, is not
// zero, the other begins ten seconds later, as by the next command; else at
// once.  All zero without samples.
//
// Source  interpolated order statistics: Hettmansperger and Sheather,
//         Statistics & Probability Letters 4, 1986
MedianInterval median_interval(std::span<const double> samples,
                               double machine_wander = 0.0,
                               double run_ns = 0.0);

// The value below which a share `share` of the samples lies, interpolated; 0
// without samples.
double quantile_of(std::span<const double> samples, double share);

}  // namespace tessera::bench
