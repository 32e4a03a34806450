// SPDX-License-Identifier: Apache-2.0
//
// Branch and bound over a chain, best bound first.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "framework/planner/solver/candidates.hpp"
#include "framework/planner/solver/incumbent.hpp"
#include "framework/planner/solver/option_peaks.hpp"
#include "framework/planner/solver/price_ascent.hpp"
#include "framework/planner/solver/price_cuts.hpp"
#include "framework/planner/solver/relaxation.hpp"
#include "framework/planner/solver/site_search.hpp"
#include "framework/planner/solver/solve.hpp"

namespace tessera::planner {

// Bounds are sums of many doubles, so a plan that is better by less than this
// share is not looked for.
inline constexpr double kTolerance = 1e-9;

class Search {
 public:
  Search(const Chain& chain, const SolveLimits& limits);

  Solution run(const Choice* start);

 private:
  struct Node {
    std::shared_ptr<const Node> parent;
    Decision decision;
    double bound = -kInfinity;
    uint32_t id = 0;
    std::vector<double> prices;
    // What the decisions so far leave no plan for.
    std::vector<uint32_t> options_out;
    std::array<std::vector<uint32_t>, kNumPhases> sites_out;
  };
  using NodePtr = std::shared_ptr<Node>;

  bool is_small() const { return chain_.options.size() < limits_.small_chain; }
  double cutoff() const;
  bool is_closed(double bound) const;
  double target_above(double bound) const;
  Restriction restriction_of(const Node& node) const;
  void apply(const Decision& decision, Restriction& restriction) const;
  void raise_floors(Restriction& restriction) const;
  // Raises the node's bound; counts how often options and sites are chosen.
  void ascend(Node& node, Restriction& restriction, uint32_t steps);
  std::vector<double> sharpen(Node& node, const Restriction& restriction,
                              uint32_t cuts);
  std::vector<double> least_peaks_of(const Choice& choice) const;
  bool needs_peak(const Node& node, uint32_t row, double level);
  void prove_peaks(Node& root);
  std::vector<double> shares_of(const Choice& choice) const;
  void use_choice(const Choice& choice, const Totals& totals);
  void count_choice(const Choice& choice);
  void reach_for_feasible(const Node& node);
  void walk_around(const Node& node);
  void try_walk();
  void search_sites(Node& root);
  void look_for_plans(Node& root, bool is_first);
  bool choose_decision(const Node& node, const Restriction& restriction,
                       Decision* out);
  bool choose_broken_peak(const Restriction& restriction, Decision* out) const;
  double probe(const Node& node, const Restriction& restriction,
               const Decision& decision);
  Decision strongest(const Node& node, const Restriction& restriction,
                     const std::vector<Decision>& candidates);
  // Leaves out what breaks a limit whatever else is chosen, and what is too
  // dear; false if nothing is left.
  bool propagate(const Node& node, Restriction& restriction);
  bool keep_limits(Restriction& restriction, uint32_t* out_excluded);
  void remember(const Restriction& before, const Restriction& after,
                Node& node) const;
  uint64_t work() const;
  bool is_spent() const;
  double late_gap() const;
  bool is_within(double gap, double bound) const;
  bool is_near(double bound) const;
  void branch(const NodePtr& node, const Decision& decision);
  void search_root(const NodePtr& root);
  double try_integer_program();
  Solution finish(double open_bound, const std::vector<double>& prices) const;

  const Chain& chain_;
  SolveLimits limits_;
  States states_;
  OptionPeaks peaks_;
  Relaxation relaxation_;
  PriceAscent ascent_;
  Incumbent incumbent_;
  SiteSearch site_search_;
  Restriction root_restriction_;
  double worst_objective_;  // no choice costs more
  ChoiceCounts counts_;
  // By state: the part of the segments that the root's bound puts there; empty
  // if unknown.
  std::vector<double> shares_;
  Choice last_feasible_;
  Choice last_infeasible_;
  bool has_feasible_ = false;
  bool has_infeasible_ = false;
  double last_polished_ = kInfinity;  // the objective it began at
  uint32_t steps_ = 0;
  uint32_t nodes_ = 0;
  std::vector<NodePtr> open_;  // a heap, least bound on top
};

}  // namespace tessera::planner
