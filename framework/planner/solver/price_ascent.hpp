// SPDX-License-Identifier: Apache-2.0
//
// Steps of a subgradient method: raises the bound of a relaxation by making
// dear what its choices use too much of.

#pragma once

#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Every row is counted in units of its capacity, so that one step length fits
// all.
//
// Source  Polyak's step with the deflection of Camerini, Fratta and Maffioli,
//         Mathematical Programming Study 3, 1975
class PriceAscent {
 public:
  // All prices 0; those of loads equal.
  explicit PriceAscent(const Chain& chain);

  const std::vector<double>& prices() const { return prices_; }
  void set_prices(std::vector<double> prices) { prices_ = std::move(prices); }
  // Starts with long steps again.
  void restart();

  // Moves from the best prices so far, or goes on from the last ones.
  //
  // bound   what the relaxation gave at prices()
  // sums    what its choice uses, by row
  // floors  of the peaks, by row
  // target  a bound to aim at, above the best one
  void step(double bound, std::span<const double> sums,
            std::span<const double> floors, double target);

  // A typical amount of each row; 0: it has no price.
  std::span<const double> scales() const { return scales_; }
  double step_factor() const { return factor_; }

 private:
  void direct(std::span<const double> sums, std::span<const double> floors);
  void normalize_loads();

  const Chain& chain_;
  std::vector<double> scales_;  // a unit of each row; 0: has no price
  std::vector<double> prices_;
  std::vector<double> best_prices_;
  std::vector<double> direction_;
  double best_bound_ = -kInfinity;
  double factor_ = 1.0;
  int stalled_ = 0;  // steps since the bound last rose
};

}  // namespace tessera::planner
