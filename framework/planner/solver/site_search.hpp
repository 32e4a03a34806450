// SPDX-License-Identifier: Apache-2.0
//
// Looks for plans by where segments are: stretches of the chain change places,
// and for each arrangement prices are settled anew.  A relaxation mixes whole
// plans and so says how much goes where, not in which order.

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/arrangement.hpp"
#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/incumbent.hpp"
#include "framework/planner/solver/option_peaks.hpp"
#include "framework/planner/solver/price_ascent.hpp"
#include "framework/planner/solver/states.hpp"
#include "framework/planner/solver/ways.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.
class SiteSearch {
 public:
  explicit SiteSearch(const Chain& chain);

  // Offers plans of what is open in `ways`, from the incumbent's arrangement
  // and from what `shares` says in all orders.  Does nothing without an
  // incumbent.
  //
  // prices  by row, near the best of a relaxation
  // shares  by state: the part of the segments that a relaxation puts there
  // max_work  ways to price, about
  void run(const Ways& ways, std::span<const double> prices,
           std::span<const double> shares, uint64_t max_work,
           Incumbent& incumbent);

  // Ways priced so far.
  uint64_t work() const { return work_; }

 private:
  struct Trial {
    Arrangement states;
    double least = kInfinity;      // bound at the prices it was found with
    double objective = kInfinity;  // of the plan found
    std::vector<double> prices;
  };

  void find_floors();
  void charge_edges(const Arrangement& states);
  bool choose(const Arrangement& states, std::span<const double> prices);
  bool choose_item(uint32_t item, uint32_t state,
                   std::span<const double> prices);
  double priced_way(uint32_t way, std::span<const double> prices) const;
  double bound_at(std::span<const double> prices) const;
  bool settle(Trial& trial, double cutoff);
  bool make_feasible(Trial& trial);
  bool try_states(Trial& trial, double cutoff, Incumbent& incumbent);
  std::vector<Trial> starts_of(std::span<const double> shares,
                               std::span<const double> prices);
  Bulks find_bulks(std::span<const double> prices);
  double value_of(const Arrangement& states,
                  std::span<const double> prices) const;
  std::vector<Trial> moves_from(const Trial& trial);
  void price_table(std::span<const double> prices);
  double priced_edge(uint32_t segment, uint32_t from, uint32_t to,
                     std::span<const double> prices) const;
  bool is_spent() const;
  void descend(Trial trial, Incumbent& incumbent);
  Trial trial_of(const Choice& choice, std::span<const double> prices) const;

  const Chain& chain_;
  States states_;
  OptionPeaks peaks_;
  PriceAscent ascent_;
  const Ways* ways_ = nullptr;
  std::vector<double> least_peaks_;  // [item][state][row]

  // Of the last choose().
  Choice choice_;
  double value_ = 0.0;
  std::vector<double> sums_;
  std::vector<double> floors_;
  double edge_cost_ = 0.0;
  std::vector<double> edge_sums_;

  std::vector<double> table_;  // [segment][state]
  uint32_t trials_ = 0;
  uint64_t work_ = 0;
  uint64_t last_work_ = 0;
};

}  // namespace tessera::planner
