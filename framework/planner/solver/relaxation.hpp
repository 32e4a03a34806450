// SPDX-License-Identifier: Apache-2.0
//
// The chain without its limits: uses of rows have prices instead.  What is left
// is a shortest path, and its length bounds every plan that keeps the limits
// from below (Lagrangian duality).

#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/segment_kinds.hpp"
#include "framework/planner/solver/site_paths.hpp"
#include "framework/planner/solver/states.hpp"
#include "framework/planner/solver/ways.hpp"

namespace tessera::planner {

// What a branch of the search leaves open.
struct Restriction {
  std::vector<uint8_t> option_out;  // by option: 1 if it may not be chosen
  // By segment * num_sites + site.
  std::array<std::vector<uint8_t>, kNumPhases> site_out;
  // By site: 1 if some segment must be there.
  std::vector<uint8_t> site_needed;
  std::vector<CountLimit> counts;
  // By row: every choice that is left has a peak of at least that.
  std::vector<double> peak_floor;
};

// Nothing is left out.
Restriction no_restriction(const Chain& chain);

// Serves one chain, which outlives it.
class Relaxation {
 public:
  explicit Relaxation(const Chain& chain);

  // What the calls below leave out, until the next open().
  void open(const Restriction& restriction);

  // The least priced cost of any choice that is open, minus what the limits
  // leave to use: no plan within the limits has a smaller objective.  kInfinity
  // if nothing is left to choose from.
  //
  // Requires  prices by row, then by limit of a count where there are any, at
  //           least 0, 0 where a capacity is infinite; those of kLoad rows sum
  //           to 1 if there are any
  double solve(std::span<const double> prices);

  // The same without costs and loads: above 0 only if nothing that is left
  // keeps the limits.
  double solve_limits(std::span<const double> prices);

  // The choice that solve() found.
  // Requires  its last result was finite
  const Choice& choice() const { return choice_; }

  // Leaves out what no plan with an objective below `cutoff` needs, as far as
  // the last solve() shows, and options that others beat in every respect.
  // Returns how many options and sites that were.  After solve_limits(),
  // `cutoff` is the rounding that a sum of priced uses may carry.
  //
  // Requires  `restriction` was opened last
  uint32_t exclude_above(double cutoff, Restriction& restriction);

  // Goes along the chain, at each segment the cheapest way by the prices of the
  // last solve() that still fits the limits.  False if it gets stuck.
  //
  // Requires  find_reserves() has seen the restriction, or a looser one
  bool walk();
  void find_reserves(const Restriction& restriction);
  // Moves runs of segments to other sites while that makes `choice` better,
  // items chosen by the prices of the last solve().  True if any was moved.
  //
  // Requires  `choice` keeps the limits
  bool improve(Choice& choice);
  // The choice of the last walk() that got through.
  const Choice& walked() const { return walked_; }

  // Prepares least_at() for the last solve().
  void find_ways() { paths_.find_ways(); }
  // A bound on every plan that has `segment` at `site` in `phase`.
  double least_at(uint32_t segment, uint32_t phase, uint32_t site) const;

  const Ways& ways() const { return ways_; }

  // Ways priced so far, about: what the work is counted in.
  uint64_t work() const { return work_; }

 private:
  struct ItemState {
    double value = kInfinity;
    std::array<uint32_t, kNumPhases> options{};
  };

  double priced(const Charge& charge, std::span<const double> prices) const;
  double find_shortest(std::span<const double> prices);
  void price_edges(std::span<const double> prices);
  void add_item(uint32_t segment, uint32_t item);
  void find_best(uint32_t item);
  void price_segment(uint32_t segment);
  void price_counts(std::span<const double> prices);
  void price_crossings(const CountLimit& limit, double price);
  void trace_back();
  uint32_t exclude_sites(uint32_t segment, double slack,
                         Restriction& restriction);
  void bound_options(uint32_t segment, uint32_t item);
  uint32_t exclude_options(uint32_t segment, double slack,
                           Restriction& restriction);

  template <typename Visit>
  void for_ways(uint32_t item, uint32_t state, const Visit& visit) const;
  bool fits(const Totals& totals, const double* reserve) const;
  bool place_item(uint32_t item, uint32_t state, const double* reserve,
                  Totals& totals);
  void charge_edge(uint32_t segment, Totals& totals) const;
  void uncharge_run(uint32_t first, uint32_t last, const Choice& choice,
                    Totals& totals) const;
  void copy_run(uint32_t first, uint32_t last, const Choice& from,
                Choice& to) const;
  bool move_run(uint32_t first, uint32_t last, uint32_t state, Choice& choice,
                Totals& totals);
  bool place_segment(uint32_t segment, uint32_t state, const Totals& before,
                     Totals& out_totals);

  const Chain& chain_;
  States states_;
  uint32_t num_states_;
  Ways ways_;
  std::array<std::vector<uint8_t>, kNumPhases> site_out_;
  std::vector<double> peak_floor_;
  SegmentKinds kinds_;
  std::vector<CountLimit> counts_;

  SitePaths paths_;
  std::array<std::vector<double>, kNumPhases> best_price_;     // by site
  std::array<std::vector<uint32_t>, kNumPhases> best_option_;  // by site
  std::vector<ItemState> item_states_;                         // [item][state]
  std::vector<double> option_bound_;  // of plans that use the option
  std::vector<uint32_t> path_;        // states, by segment
  double cost_weight_ = 1.0;
  double limit_credit_ = 0.0;
  uint64_t work_ = 0;
  double shortest_ = 0.0;
  Choice choice_;
  std::vector<double> reserve_;  // [segment, and one more][row]
  Choice walked_;
};

}  // namespace tessera::planner
