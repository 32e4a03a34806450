// SPDX-License-Identifier: Apache-2.0
//
// What rounds of timing say while the machine may do other things too.

#pragma once

#include <cstddef>
#include <vector>

namespace tessera {

// Shortest and middle round, as multiples of the time that was taken.
struct TimeSpread {
  double low = 1.0;
  double high = 1.0;
};

struct SpreadTime {
  double ns = 0.0;
  TimeSpread spread;
};

// Other work only adds to a round, so that three rounds in four may be loud: a
// quarter of the rounds are no longer than what is returned.  0 of no rounds.
SpreadTime quiet_time(std::vector<double> rounds);

// Of things that were timed in the same rounds, a quarter of the rounds that
// stands for all, by what all took together, each as a share of its middle
// round.  Where other processes ran, it is the quietest; else what differs
// between rounds is the things' own, and the quarter in the middle counts.  A
// machine may step between speeds that favour one thing or another, so rounds
// that are chosen for each thing by itself would be of different machines.
//
// of_things  rounds of each, equally many
std::vector<size_t> rounds_that_count(
    const std::vector<std::vector<double>>& of_things, bool others_ran);

// The mean of some rounds, and the spread of all.  0 of no rounds.
SpreadTime time_in(const std::vector<size_t>& which,
                   const std::vector<double>& rounds);

// Half of the rounds say that there was other work.
bool is_busy(const TimeSpread& spread);

// What takes `now` is not what took `before`: the spreads lie apart, by more
// than two quiet runs may differ.
bool has_drifted(const SpreadTime& before, const SpreadTime& now);

}  // namespace tessera
