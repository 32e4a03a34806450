// SPDX-License-Identifier: Apache-2.0
//
// Looks for plans by where segments are: stretches of the chain change places,
// and for each arrangement prices are settled anew.  A relaxation mixes whole
// plans and so says how much goes where, not in which order.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "framework/planner/solver/arrangement.hpp"
#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/incumbent.hpp"
#include "framework/planner/solver/option_peaks.hpp"
#include "framework/planner/solver/price_ascent.hpp"
#include "framework/planner/solver/price_cuts.hpp"
#include "framework/planner/solver/states.hpp"
#include "framework/planner/solver/ways.hpp"

namespace tessera::planner {

// Arrangements whose bound is above the best plan by more than this share are
// not told apart.
inline constexpr double kWorstArrangement = 1.1;

// Serves one chain, which outlives it.
class SiteSearch {
 public:
  explicit SiteSearch(const Chain& chain);

  // Offers plans of what is open in `ways`: with the incumbent's arrangement,
  // and with what `shares` says in all orders.  Does nothing without an
  // incumbent.
  //
  // prices    by row, near the best of a relaxation
  // shares    by state: the part of the segments that a relaxation puts there;
  //           empty: unknown, and only the incumbent's arrangement is bettered
  // max_work  ways to price, about, polishing of plans included, here and in
  //           descend()
  // is_done   asked before each order, or move
  void try_orders(const Ways& ways, std::span<const double> prices,
                  std::span<const double> shares, uint64_t max_work,
                  const std::function<bool()>& is_done, Incumbent& incumbent);

  // Offers a plan with segments where `sites` says, of what is open now.
  //
  // sites     by phase and segment
  // prices    by row, near the best
  // Requires  what try_orders() was given still stands, but for what is open
  void try_sites(const Sites& sites, std::span<const double> prices);

  // Offers plans with the incumbent's arrangement and its largest peaks,
  // rounded from other prices.
  //
  // prices    by row, near the best
  // Requires  what try_orders() was given still stands
  void better_rounding(std::span<const double> prices);

  // Goes on from the best of those arrangements to others.
  //
  // Requires  what try_orders() was given still stands
  void descend(const std::function<bool()>& is_done);

  // Ways priced so far, about, but for what the incumbent counts.
  uint64_t work() const { return work_; }

 private:
  struct Trial {
    Arrangement states;
    double least = kInfinity;      // bound at the prices it was found with
    double objective = kInfinity;  // of the plan found
    std::vector<double> prices;
  };

  using Order = std::vector<uint32_t>;  // states of runs

  void find_least_peaks();
  void find_floors(const Arrangement& states);
  void charge_edges(const Arrangement& states);
  bool choose(const Arrangement& states, std::span<const double> prices);
  bool choose_item(uint32_t item, uint32_t state,
                   std::span<const double> prices);
  double priced_way(uint32_t way, std::span<const double> prices) const;
  double bound_at(std::span<const double> prices) const;
  bool settle(Trial& trial, double cutoff);
  bool climb(const std::function<bool(std::span<const double>)>& evaluate,
             double cutoff, PriceCuts& cuts, Trial& trial);
  bool make_feasible(const Trial& trial);
  void shake(const Trial& trial);
  bool try_states(Trial& trial, double cutoff);
  std::vector<Order> orders_of(std::span<const double> shares,
                               std::span<const double> prices,
                               const Arrangement& incumbent);
  double fullness_of(uint32_t state, const Arrangement& states,
                     const Totals& totals) const;
  void round_ends(Trial& trial);
  Trial fit_runs(const Order& order, std::span<const double> prices);
  std::vector<Trial> moves_from(const Trial& trial);
  void price_table(std::span<const double> prices,
                   std::span<const uint32_t> states);
  double priced_edge(const Edge& edge, uint32_t from, uint32_t to,
                     std::span<const double> prices) const;
  bool is_spent() const;
  void descend_from(Trial trial, const std::function<bool()>& is_done);
  Trial trial_of(const Sites& sites, std::span<const double> prices) const;

  const Chain& chain_;
  States states_;
  OptionPeaks peaks_;
  PriceAscent ascent_;
  const Ways* ways_ = nullptr;
  Incumbent* incumbent_ = nullptr;
  std::vector<Trial> starts_;        // the most promising first
  std::vector<double> least_peaks_;  // [item][state][row]

  // Of the last choose().
  Choice choice_;
  double value_ = 0.0;
  std::vector<double> sums_;
  std::vector<double> floors_;
  std::vector<double> given_floors_;  // by row; empty: none
  double edge_cost_ = 0.0;
  std::vector<double> edge_sums_;

  std::vector<uint32_t> all_states_;
  PriceTable table_;
  uint32_t trials_ = 0;
  uint64_t work_ = 0;
  uint64_t last_work_ = 0;
};

}  // namespace tessera::planner
