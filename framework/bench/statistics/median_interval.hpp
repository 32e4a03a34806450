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
};

// The interval covers the median of a run ten times as long in 95 % of cases,
// whatever the distribution; with fewer than 7 samples it is their whole range,
// which covers it less often.  Samples that are like those before them, in the
// order they were taken, are worth fewer: the interval is wider then, though
// not for a drift that shows only later.  All zero without samples.
//
// Source  interpolated order statistics: Hettmansperger and Sheather,
//         Statistics & Probability Letters 4, 1986; the number of independent
//         samples in a series with memory: Bayley and Hammersley, Journal of
//         the Royal Statistical Society 8 (supplement), 1946
MedianInterval median_interval(std::span<const double> samples);

// The value below which a share `share` of the samples lies, interpolated; 0
// without samples.
double quantile_of(std::span<const double> samples, double share);

}  // namespace tessera::bench
