// SPDX-License-Identifier: Apache-2.0
//
// How far a machine's speed wanders while it is timed.

#pragma once

#include <cstddef>
#include <span>

namespace tessera::bench {

// Samples of a machine that does the same again and again, in the order they
// were taken, have noise that averages out and a part that does not: clock
// rates and neighbours on shared hardware change over seconds.  Returns the
// size of that part as a share of the samples' median: the Allan deviation that
// is left however many neighbours are averaged.  About 0 of noise without
// memory; 0 of equal samples and of fewer than 8.
//
// Source  Allan, Proceedings of the IEEE 54, 1966; noise of both kinds as its
//         variances tell them apart: Barnes et al., IEEE Transactions on
//         Instrumentation and Measurement 20, 1971
double wander_of(std::span<const double> samples);

// Of samples whose speed wanders by 1: the standard deviation of the step from
// their mean to that of `times` as many, which begin `pause` lengths of the
// first run after its end.
double step_to_longer_run(double times, double pause);

}  // namespace tessera::bench
