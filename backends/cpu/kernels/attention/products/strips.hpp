// SPDX-License-Identifier: Apache-2.0
//
// The order in which products by tiles and vector work share a tile of keys:
// each needs units that the other leaves idle, so rows go strip by strip, and
// what one strip needs of vectors is done between the products of the next.

#pragma once

namespace tessera::cpu {

// Calls, for each strip of kStrip rows, scores(first, rows, between), then
// weigh(begin, end) for a few of its rows at a time, then sums(first, rows,
// between).  The former and the latter call `between` after each of their
// steps, which weighs rows of another strip.
template <int kStrip, typename Scores, typename Weigh, typename Sums>
void in_strips(int rows, const Scores& scores, const Weigh& weigh,
               const Sums& sums) {
  constexpr int kRowsAtOnce = 4;
  const auto nothing = [] {};
  const auto length = [rows](int first) {
    return rows - first < kStrip ? rows - first : kStrip;
  };
  scores(0, length(0), nothing);
  for (int first = 0; first < rows; first += kStrip) {
    const int end = first + length(first);
    int row = first;
    const auto weigh_some = [&] {
      if (row >= end) return;
      const int stop = end - row < kRowsAtOnce ? end : row + kRowsAtOnce;
      weigh(row, stop);
      row = stop;
    };
    if (end < rows) scores(end, length(end), weigh_some);
    if (first > 0) sums(first - kStrip, kStrip, weigh_some);
    while (row < end) weigh_some();
    if (end == rows) sums(first, end - first, nothing);
  }
}

}  // namespace tessera::cpu
