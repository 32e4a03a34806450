// SPDX-License-Identifier: Apache-2.0
//
// A model of a relaxation's bound as a function of prices, from what it gave at
// some of them: says which prices to try next, and how much is left to gain.

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// The bound is concave in the prices, so every result bounds it from above by a
// plane.  The next prices are those where the lowest plane is highest, no
// farther from the best so far than a box that grows and shrinks.
//
// Source  Marsten, Hogan and Blankenship, The Boxstep method, Operations
//         Research 23(3), 1975
class PriceCuts {
 public:
  // scales  by row: a typical amount; 0: the row has no price
  PriceCuts(std::vector<Row> rows, std::span<const double> scales);

  // Where the box is, and the bound there: for a model that begins with
  // choices.
  void start(std::span<const double> prices, double bound);

  // What the relaxation gave at `prices`.
  //
  // sums    what its choice uses, by row
  // floors  of the peaks, by row; the same in every call
  void add(std::span<const double> prices, double bound,
           std::span<const double> sums, std::span<const double> floors);

  // What a choice bounds at all prices, wherever it was found.
  //
  // Requires  add() or start() was called
  void add_choice(double cost, std::span<const double> sums,
                  std::span<const double> floors);
  // That bound at the best prices so far: the smaller, the more it is worth.
  double bound_of(double cost, std::span<const double> sums,
                  std::span<const double> floors) const;

  // Where to look next; empty if the best bound cannot rise by `least_gain`
  // anywhere near.
  //
  // Requires  a choice was added
  std::vector<double> next(double least_gain);
  // The bound that the last next() hopes for; what it has if that is nowhere.
  double promise() const { return std::max(promised_.height, best_) * unit_; }

  // By choice that was added, summing to 1: the mix of their choices that keeps
  // the limits and costs least, as far as prices can tell.
  //
  // Requires  add() was called
  std::vector<double> weights() const;

 private:
  // Prices are coordinates and bounds heights, both in units that make them
  // about 1.
  struct Cut {
    std::vector<double> slopes;  // by coordinate
    double height = 0.0;         // at prices 0
  };
  struct Peak {
    double height = -kInfinity;
    std::vector<double> at;  // empty: none was found
  };

  bool is_load(size_t k) const;
  void adapt_box(double gain);
  bool restore_box();
  double least_of(size_t k) const;
  Peak highest_in_box() const;

  double slope_of(size_t k, std::span<const double> sums,
                  std::span<const double> floors) const;

  std::vector<Row> all_rows_;
  double unit_ = 0.0;            // the size of the first bound
  std::vector<uint32_t> rows_;   // that have prices
  std::vector<double> scales_;   // of those
  std::vector<double> factors_;  // from a price to a coordinate
  std::vector<Cut> cuts_;
  std::vector<double> center_;  // of the box: where the best bound is
  std::vector<double> radius_;  // of the box, by coordinate
  double best_ = -kInfinity;    // the height there
  Peak promised_;               // by the last next()
};

}  // namespace tessera::planner
