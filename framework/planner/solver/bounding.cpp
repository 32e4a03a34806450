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

// Steps of a round where a model takes over.
constexpr uint32_t kStepsBeforeModel = 16;

// Steps of raising a bound by a model of it, which cost more than others, and
// the share of the bound that is not worth one more.
constexpr uint32_t kCuts = 60;
constexpr uint32_t kCutsOfProof = 15;

// Choices of other branches that a model of the bound begins with.
constexpr size_t kMostRecalled = 40;
// The last ones, that they are looked for among.
constexpr uint32_t kMostSearched = 2000;

// A plan that near proves something of peaks.
constexpr double kWorthProving = 0.02;
constexpr double kCutGain = 1e-5;

// The part of the work that goes into other arrangements at most: 1 / that.
constexpr uint64_t kShareOfSites = 2;

}  // namespace

// Whether a choice keeps to all decisions of a branch.
bool Search::is_of(uint32_t seen, const Node& node) const {
  for (const Node* at = &node; at->parent; at = at->parent.get()) {
    if (!seen_.agrees(seen, at->decision)) return false;
  }
  return true;
}

// By row, then by limit of a count.
std::vector<double> Search::floors_of(const Restriction& restriction) const {
  std::vector<double> floors = restriction.peak_floor;
  floors.resize(floors.size() + restriction.counts.size(), 0.0);
  return floors;
}

// Finds the choices that a model of the branch's bound begins with.
void Search::recall(Node& node, const Restriction& restriction) const {
  std::vector<double> prices = node.prices;
  prices.resize(chain_.rows.size() + restriction.counts.size(), 0.0);
  std::vector<std::pair<double, uint32_t>> worth;
  const uint32_t first = seen_.size() - std::min(seen_.size(), kMostSearched);
  for (uint32_t c = first; c < seen_.size(); ++c) {
    if (!is_of(c, node)) continue;
    const std::vector<double> uses = seen_.uses(c, restriction.counts);
    double bound = seen_.cost(c);
    for (size_t r = 0; r < uses.size(); ++r) bound += prices[r] * uses[r];
    worth.emplace_back(bound, c);
  }
  std::sort(worth.begin(), worth.end());
  node.known.clear();
  for (const auto& [bound, c] : worth) node.known.push_back(c);
}

// With what is known of the branch, if that is anything.
PriceCuts Search::model_of(Node& node, const Restriction& restriction) const {
  std::vector<Row> rows = chain_.rows;
  std::vector<double> scales(ascent_.scales().begin(), ascent_.scales().end());
  for (const CountLimit& limit : restriction.counts) {
    rows.push_back({"", RowKind::kLimit, limit.capacity()});
    scales.push_back(1.0);
  }
  node.prices.resize(rows.size(), 0.0);
  PriceCuts cuts(std::move(rows), scales);
  if (node.known.empty()) return cuts;
  const std::vector<double> floors = floors_of(restriction);
  node.known.resize(std::min<size_t>(node.known.size(), kMostRecalled));
  cuts.start(node.prices, node.bound);
  for (const uint32_t c : node.known) {
    cuts.add_choice(seen_.cost(c), seen_.uses(c, restriction.counts), floors);
  }
  return cuts;
}

// Raises the bound to the most that prices can make of it, or nearly, and says
// which mix of choices gives that bound: none if nothing is left.
//
// Requires  `restriction` was opened
void Search::sharpen(Node& node, const Restriction& restriction,
                     uint32_t most_cuts) {
  PriceCuts cuts = model_of(node, restriction);
  const std::vector<double> floors = floors_of(restriction);
  std::vector<uint32_t> added = node.known;  // by cut
  const auto look_next = [&] {
    return cuts.next(kCutGain * std::fabs(node.bound));
  };
  std::vector<double> prices = added.empty() ? node.prices : look_next();
  node.mix.clear();
  for (uint32_t step = 0; step < most_cuts && !prices.empty(); ++step) {
    const double bound = relaxation_.solve(prices);
    ++steps_;
    if (bound > node.bound) {
      node.bound = bound;
      node.prices = prices;
    }
    if (bound == kInfinity || is_closed(bound)) return;
    const Choice& choice = relaxation_.choice();
    const Totals totals = add_up(chain_, choice);
    use_choice(choice, totals);
    added.push_back(seen_.add(choice, totals));
    cuts.add(prices, bound, seen_.uses(added.back(), restriction.counts),
             floors);
    prices = look_next();
  }
  if (added.empty()) return;
  const std::vector<double> weights = cuts.weights();
  for (size_t c = 0; c < weights.size(); ++c) {
    if (weights[c] > 0.0) node.mix.push_back({added[c], weights[c]});
  }
}

// By state: the part of the segments that a mix puts there; empty if there is
// none.
std::vector<double> Search::shares_of(
    const std::vector<SeenChoices::Part>& mix) const {
  if (mix.empty()) return {};
  std::vector<double> shares(states_.num(), 0.0);
  const size_t num_segments = chain_.segments.size();
  for (const SeenChoices::Part& part : mix) {
    for (size_t g = 0; g < num_segments; ++g) {
      const auto& sites = seen_.sites(part.choice);
      const uint32_t state = states_.with(sites[0][g], sites[1][g]);
      shares[state] += part.weight / static_cast<double>(num_segments);
    }
  }
  return shares;
}

// By row: what no plan can stay below in which all segments are where `choice`
// has them.
std::vector<double> Search::least_peaks_of(const Choice& choice) const {
  std::vector<double> floors(chain_.rows.size());
  std::vector<double> least(chain_.rows.size());
  for (size_t g = 0; g < chain_.segments.size(); ++g) {
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        std::fill(least.begin(), least.end(), kInfinity);
        const Item& item = chain_.items[i];
        for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
             ++o) {
          if (root_restriction_.option_out[o] != 0 ||
              chain_.options[o].site != choice.sites[phase][g]) {
            continue;
          }
          for (uint32_t r = 0; r < least.size(); ++r) {
            least[r] = std::min(least[r], peaks_.of(o, r));
          }
        }
        for (size_t r = 0; r < least.size(); ++r) {
          if (least[r] < kInfinity) floors[r] = std::max(floors[r], least[r]);
        }
      }
    }
  }
  return floors;
}

// True if every plan that is still looked for has a peak of `level` at least in
// that row: those without cost too much.
bool Search::needs_peak(const Node& node, uint32_t row, double level) {
  Restriction without = root_restriction_;
  apply({Decision::Kind::kPeak, 0, row, level, false}, without);
  raise_floors(without);
  relaxation_.open(without);
  Node rest;
  rest.prices = node.prices;
  rest.prices[row] = 0.0;  // little is left that uses it
  sharpen(rest, without, kCutsOfProof);
  return is_closed(rest.bound);
}

// Prices count sums, not peaks.  That a device is needed at all for plans worth
// finding brings its least peak into the bound.
void Search::prove_peaks(Node& root) {
  if (is_small() || peaks_.empty() || !incumbent_.exists()) return;
  const std::vector<double> levels = least_peaks_of(incumbent_.choice());
  bool rose = false;
  for (uint32_t r = 0; r < levels.size(); ++r) {
    double& floor = root_restriction_.peak_floor[r];
    if (root.prices[r] == 0.0 || levels[r] <= floor) continue;
    if (!needs_peak(root, r, levels[r])) continue;
    floor = levels[r];
    rose = true;
  }
  relaxation_.open(root_restriction_);
  if (rose) sharpen(root, root_restriction_, kCuts);
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
    incumbent_.splice(last_feasible_, last_infeasible_, row_prices(node));
    incumbent_.splice(last_infeasible_, last_feasible_, row_prices(node));
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
    incumbent_.polish(std::move(choice), row_prices(node));
  }
  relaxation_.find_reserves(root_restriction_);
}

// Plans with the stretches that the relaxation mixes, in better orders.  What a
// good one proves of peaks says how much is left to gain.
void Search::search_sites(Node& root) {
  bool has_proved = false;
  const auto is_done = [&] {
    if (!has_proved && is_within(kWorthProving, root.bound)) {
      has_proved = true;
      prove_peaks(root);
    }
    return is_near(root.bound) || is_spent();
  };
  site_search_.try_orders(relaxation_.ways(), root.prices, shares_,
                          limits_.max_work / kShareOfSites, is_done,
                          incumbent_);
  site_search_.descend(is_done);
  if (!is_done()) site_search_.better_rounding(row_prices(root));
}

// Small chains are walked along first, for it costs little there; of others the
// orders of runs find more.
void Search::look_for_plans(Node& root, bool is_first) {
  reach_for_feasible(root);
  const bool walks_first = is_small() || !incumbent_.exists();
  if (walks_first) walk_around(root);
  if (is_first) search_sites(root);
  if (!walks_first && !is_near(root.bound)) walk_around(root);
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
    ascend(*root, root_restriction_,
           is_small() ? limits_.root_steps / kRootRounds : kStepsBeforeModel);
    if (is_closed(root->bound)) return;
    if (!is_small()) sharpen(*root, root_restriction_, kCuts);
    shares_ = shares_of(root->mix);
    if (is_closed(root->bound)) return;
    look_for_plans(*root, round == 0);
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
