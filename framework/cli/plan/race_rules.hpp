// SPDX-License-Identifier: Apache-2.0
//
// When enough is known of how plans that run in turns compare.  Whoever looks
// after every load, and stops where something shows, is fooled by chance more
// often than one who looks once; what these rules say holds for all looks of a
// race together.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "framework/bench/statistics/median_interval.hpp"

namespace tessera::cli {

// Of one plan's time to another's, a ratio for each load so far.
struct LoadRatios {
  std::span<const double> ratios;
  uint32_t loads = 0;  // that there will be at most
};

// True if the ratios say beyond chance that the median is above 1 + `share`.
// Asked after each load, it is true of a plan that is not in at most 5 % of
// races.
//
// Source  the sign test at each look, at 5 % shared out over the looks
//         (Bonferroni); on repeated looks: Armitage, McPherson and Rowe,
//         Journal of the Royal Statistical Society A 132, 1969
bool is_slower(const LoadRatios& found, double share);

// Holds the median, at whichever of the loads one ends, in 95 % of races;
// nothing where so few ratios cannot say that.
//
// Source  order statistics, at 95 % shared out likewise
std::optional<bench::MedianInterval> interval_at_any_look(
    const LoadRatios& found);

// True if the median is known to `width`, or to be above 1 by as much.
bool is_settled(const LoadRatios& found, double width);

}  // namespace tessera::cli
