// SPDX-License-Identifier: Apache-2.0
//
// Raises the bound of the whole chain, and looks for plans where it leads.

#include <algorithm>
#include <cmath>

#include "framework/planner/solver/search.hpp"

namespace tessera::planner {
namespace {

// The root's steps come in rounds; after each, what cannot be in a better plan
// is left out.
constexpr uint32_t kRootRounds = 8;

// Steps of raising a bound by a model of it, which cost more than others, and
// the share of the bound that is not worth one more.
constexpr uint32_t kCuts = 60;
constexpr double kCutGain = 1e-5;

// The part of the work that goes into other arrangements at most: 1 / that.
constexpr uint64_t kShareOfSites = 4;

}  // namespace

// Raises the bound to the most that prices can make of it, or nearly, and says
// how much of the chain is where in the mix that gives it.
void Search::sharpen(Node& node, const Restriction& restriction) {
  PriceCuts cuts(chain_, ascent_.scales());
  std::vector<std::vector<double>> shares;  // by cut
  std::vector<double> prices = node.prices;
  for (uint32_t step = 0; step < kCuts && !prices.empty(); ++step) {
    const double bound = relaxation_.solve(prices);
    ++steps_;
    if (bound == kInfinity) break;
    if (bound > node.bound) {
      node.bound = bound;
      node.prices = prices;
    }
    const Choice& choice = relaxation_.choice();
    const Totals totals = add_up(chain_, choice);
    use_choice(choice, totals);
    cuts.add(prices, bound, totals.sums, restriction.peak_floor);
    shares.push_back(shares_of(choice));
    prices = cuts.next(kCutGain * std::fabs(node.bound));
  }
  if (shares.empty()) return;
  const std::vector<double> weights = cuts.weights();
  shares_.assign(states_.num(), 0.0);
  for (size_t c = 0; c < weights.size(); ++c) {
    for (size_t s = 0; s < shares_.size(); ++s) {
      shares_[s] += weights[c] * shares[c][s];
    }
  }
}

// By state: the part of the segments that are in it.
std::vector<double> Search::shares_of(const Choice& choice) const {
  std::vector<double> shares(states_.num(), 0.0);
  const auto num_segments = static_cast<double>(chain_.segments.size());
  for (size_t g = 0; g < chain_.segments.size(); ++g) {
    shares[states_.with(choice.sites[0][g], choice.sites[1][g])] +=
        1.0 / num_segments;
  }
  return shares;
}

// Makes what is short ever dearer until a choice keeps the limits, then joins
// it with one that does not.
void Search::reach_for_feasible(const Node& node) {
  std::vector<double> prices = node.prices;
  for (uint32_t attempt = 0; attempt < 40; ++attempt) {
    if (relaxation_.solve(prices) == kInfinity) return;
    ++steps_;
    const Totals totals = add_up(chain_, relaxation_.choice());
    use_choice(relaxation_.choice(), totals);
    if (is_feasible(chain_, totals)) break;
    for (size_t r = 0; r < prices.size(); ++r) {
      const Row& row = chain_.rows[r];
      if (excess_of(row, totals.sums[r] + totals.peaks[r]) == 0.0) continue;
      const double unit = 0.001 * std::max(1.0, std::fabs(node.bound)) /
                          std::max(row.capacity, 1e-30);
      prices[r] = std::max(prices[r] * (attempt < 8 ? 1.03 : 1.3),
                           prices[r] + unit * (attempt < 8 ? 0.1 : 1.0));
    }
  }
  if (has_feasible_ && has_infeasible_) {
    incumbent_.splice(last_feasible_, last_infeasible_, node.prices);
    incumbent_.splice(last_infeasible_, last_feasible_, node.prices);
  }
}

// Walks at prices near the best ones: each scarce row dearer by itself.
void Search::walk_around(const Node& node) {
  for (size_t r = 0; r < chain_.rows.size(); ++r) {
    if (node.prices[r] == 0.0 || chain_.rows[r].kind == RowKind::kLoad)
      continue;
    for (const double factor : {0.9, 1.03, 1.1, 1.3, 1.8}) {
      std::vector<double> prices = node.prices;
      prices[r] *= factor;
      if (relaxation_.solve(prices) == kInfinity) return;
      ++steps_;
      try_walk();
    }
  }
  if (!incumbent_.exists()) return;
  relaxation_.solve(node.prices);
  for (uint32_t round = 0; round < 4; ++round) {
    Choice choice = incumbent_.choice();
    if (!relaxation_.improve(choice)) break;
    incumbent_.polish(std::move(choice), node.prices);
  }
  relaxation_.find_reserves(root_restriction_);
}

// Plans with the stretches that the relaxation mixes, in better orders.
void Search::search_sites(const Node& node) {
  site_search_.run(relaxation_.ways(), node.prices, shares_,
                   limits_.max_work / kShareOfSites, incumbent_);
}

void Search::search_root(const NodePtr& root) {
  raise_floors(root_restriction_);
  if (!propagate(*root, root_restriction_)) {
    root->bound = kInfinity;
    return;
  }
  relaxation_.find_reserves(root_restriction_);
  for (uint32_t round = 0; round < kRootRounds; ++round) {
    const double before = root->bound;
    ascend(*root, root_restriction_, limits_.root_steps / kRootRounds);
    if (is_closed(root->bound)) return;
    if (!is_small()) sharpen(*root, root_restriction_);
    if (is_closed(root->bound)) return;
    reach_for_feasible(*root);
    walk_around(*root);
    if (round == 0) search_sites(*root);
    if (is_closed(root->bound)) return;
    if (is_near(root->bound) || is_spent()) return;
    relaxation_.solve(root->prices);
    ++steps_;
    const uint32_t excluded =
        relaxation_.exclude_above(cutoff(), root_restriction_);
    raise_floors(root_restriction_);
    const bool rose = root->bound > before + 1e-5 * std::fabs(before);
    // The first round rises from nothing; of a model's bound little is left.
    const bool rises = rose && (round > 0 || is_small());
    if (excluded == 0 && !rises) return;
  }
}

}  // namespace tessera::planner
