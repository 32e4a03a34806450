// SPDX-License-Identifier: Apache-2.0
//
// Branch and bound over a chain, best bound first.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "framework/planner/solver/candidates.hpp"
#include "framework/planner/solver/incumbent.hpp"
#include "framework/planner/solver/option_peaks.hpp"
#include "framework/planner/solver/price_ascent.hpp"
#include "framework/planner/solver/price_cuts.hpp"
#include "framework/planner/solver/relaxation.hpp"
#include "framework/planner/solver/seen_choices.hpp"
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
    std::vector<double> prices;          // by row, then by limit of a count
    std::vector<SeenChoices::Part> mix;  // of the last sharpen()
    // Seen choices that keep to all decisions, those that bound most first.
    std::vector<uint32_t> known;
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
  void use_site(uint32_t site, bool keep, Restriction& restriction) const;
  void apply(const Decision& decision, Restriction& restriction) const;
  void raise_floors(Restriction& restriction) const;
  // Raises the node's bound; counts how often options and sites are chosen.
  void ascend(Node& node, Restriction& restriction, uint32_t steps);
  void sharpen(Node& node, const Restriction& restriction, uint32_t cuts);
  PriceCuts model_of(Node& node, const Restriction& restriction) const;
  std::vector<double> floors_of(const Restriction& restriction) const;
  void recall(Node& node, const Restriction& restriction) const;
  bool is_of(uint32_t seen, const Node& node) const;
  std::vector<double> shares_of(
      const std::vector<SeenChoices::Part>& mix) const;
  std::span<const double> row_prices(const Node& node) const {
    return std::span(node.prices).first(chain_.rows.size());
  }
  std::vector<double> least_peaks_of(const Choice& choice) const;
  bool needs_peak(const Node& node, uint32_t row, double level);
  void prove_peaks(Node& root);
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
  static bool is_later(const NodePtr& a, const NodePtr& b);
  void open_later(NodePtr node);
  NodePtr take_least();
  NodePtr child_of(const NodePtr& node, Decision decision, bool keep);
  void branch(const NodePtr& node, const Decision& decision);
  void branch_by_option(const NodePtr& node);
  double search_by_mix(const NodePtr& root);
  bool branch_by_mix(const NodePtr& node);
  double promise_of(Node& child, const Restriction& restriction) const;
  std::vector<std::array<NodePtr, 2>> promising_children(
      const NodePtr& node, const Restriction& restriction);
  double gain_of(double bound, const Node& node) const;
  void settle_child(NodePtr child);
  void try_mix(const Node& node);
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
  SeenChoices seen_;
  // Where plans were looked for.
  std::set<Sites> tried_sites_;
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
  uint32_t mix_nodes_ = 0;
  uint32_t last_id_ = 0;
  std::vector<NodePtr> open_;  // a heap, least bound on top
};

}  // namespace tessera::planner
