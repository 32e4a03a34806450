// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/site_search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace tessera::planner {
namespace {

// Steps of raising prices for one arrangement.
constexpr uint32_t kSteps = 60;

// A step that moves prices by less is the last.
constexpr double kLeastStep = 1e-3;

// Arrangements tried in one run.
constexpr uint32_t kMaxTrials = 600;

// The search descends from arrangements whose bound is not above the best plan
// by more than this share.
constexpr double kWorthDescent = 1.02;

// States with a smaller share are left out of the orders that are tried.
constexpr double kWorthShare = 0.01;
constexpr size_t kMaxParts = 5;

// Orders whose runs are fitted, and the longest of them.
constexpr size_t kMaxOrders = 8;
constexpr size_t kMaxRuns = 12;
// Steps by a model of the bound, until it cannot rise by that share.
constexpr uint32_t kCuts = 40;
constexpr double kCutGain = 1e-5;
// From so many items on a step costs more than its model.
constexpr size_t kManyItems = 500;

// Improvements smaller than this share are not followed.
constexpr double kWorthMoving = 1e-6;

}  // namespace

// Raises the trial's bound.  False once no plan below `cutoff` is left.
bool SiteSearch::settle(Trial& trial, double cutoff) {
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    if (!states_.allows(chain_.segments[g], trial.states[g])) return false;
  }
  charge_edges(trial.states);
  find_floors(trial.states);
  const auto evaluate = [&](std::span<const double> prices) {
    return choose(trial.states, prices);
  };
  if (chain_.items.size() >= kManyItems) {
    PriceCuts cuts(chain_.rows, ascent_.scales());
    return climb(evaluate, cutoff, cuts, trial);
  }
  ascent_.restart();
  ascent_.set_prices(trial.prices);
  double best = -kInfinity;
  for (uint32_t step = 0; step < kSteps; ++step) {
    if (!evaluate(ascent_.prices())) return false;
    const double bound = bound_at(ascent_.prices());
    if (bound > best) {
      best = bound;
      trial.prices = ascent_.prices();
    }
    if (best >= cutoff) {
      trial.least = best;
      return false;
    }
    ascent_.step(bound, sums_, floors_, cutoff);
    if (ascent_.step_factor() < kLeastStep) break;
  }
  trial.least = best;
  return true;
}

// Raises the trial's bound by a model of it.  `evaluate` chooses at given
// prices; false if it cannot.
bool SiteSearch::climb(
    const std::function<bool(std::span<const double>)>& evaluate, double cutoff,
    PriceCuts& cuts, Trial& trial) {
  std::vector<double> next = trial.prices;
  trial.least = -kInfinity;
  for (uint32_t step = 0; step < kCuts && !next.empty(); ++step) {
    if (!evaluate(next)) return false;
    const double bound = bound_at(next);
    if (bound > trial.least) {
      trial.least = bound;
      trial.prices = next;
    }
    if (bound >= cutoff) return false;
    cuts.add(next, bound, sums_, floors_);
    next = cuts.next(kCutGain * std::fabs(trial.least));
  }
  return true;
}

bool SiteSearch::try_states(Trial& trial, double cutoff) {
  ++trials_;
  if (!settle(trial, cutoff)) return false;
  if (make_feasible(trial)) {
    trial.objective = incumbent_->polish(choice_, trial.prices);
  }
  return true;
}

// The neighbors, most promising first.
std::vector<SiteSearch::Trial> SiteSearch::moves_from(const Trial& trial) {
  price_table(trial.prices, all_states_);
  const double before = price_of(table_, trial.states);
  std::vector<Trial> moves;
  for (Arrangement& states : neighbors_of(trial.states, states_.num())) {
    Trial move;
    move.least = trial.least + price_of(table_, states) - before;
    move.states = std::move(states);
    move.prices = trial.prices;
    moves.push_back(std::move(move));
  }
  std::stable_sort(
      moves.begin(), moves.end(),
      [](const Trial& a, const Trial& b) { return a.least < b.least; });
  return moves;
}

bool SiteSearch::is_spent() const {
  return trials_ >= kMaxTrials || work_ + incumbent_->work() >= last_work_;
}

void SiteSearch::descend_from(Trial trial,
                              const std::function<bool()>& is_done) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (Trial& move : moves_from(trial)) {
      const double cutoff = trial.least * (1.0 - kWorthMoving);
      if (move.least >= cutoff || is_spent() || is_done()) break;
      if (!try_states(move, cutoff)) continue;
      trial = std::move(move);
      moved = true;
      break;
    }
  }
}

SiteSearch::Trial SiteSearch::trial_of(const Sites& sites,
                                       std::span<const double> prices) const {
  Trial trial;
  for (size_t g = 0; g < chain_.segments.size(); ++g) {
    trial.states.push_back(states_.with(sites[0][g], sites[1][g]));
  }
  trial.prices.assign(prices.begin(), prices.end());
  return trial;
}

// The states with a worthwhile share in every order, and the incumbent's; the
// most promising at these prices first.
std::vector<SiteSearch::Order> SiteSearch::orders_of(
    std::span<const double> shares, std::span<const double> prices,
    const Arrangement& incumbent) {
  if (shares.empty()) return {};
  std::vector<uint32_t> parts(shares.size());
  std::iota(parts.begin(), parts.end(), 0U);
  std::stable_sort(
      parts.begin(), parts.end(),
      [shares](uint32_t a, uint32_t b) { return shares[a] > shares[b]; });
  while (!parts.empty() &&
         (parts.size() > kMaxParts || shares[parts.back()] < kWorthShare)) {
    parts.pop_back();
  }
  std::sort(parts.begin(), parts.end());
  price_table(prices, all_states_);
  std::vector<std::pair<double, Order>> rated;
  do {
    // What is at the ends may have to be where the incumbent has it.
    for (const bool same_begin : {false, true}) {
      for (const bool same_end : {false, true}) {
        Order order = parts;
        if (same_begin) order.insert(order.begin(), incumbent.front());
        if (same_end) order.push_back(incumbent.back());
        if (order_of(order) != order) continue;
        rated.emplace_back(cheapest_runs(table_, order).price, order);
      }
    }
  } while (std::next_permutation(parts.begin(), parts.end()));
  std::stable_sort(
      rated.begin(), rated.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Order> orders;
  if (order_of(incumbent).size() <= kMaxRuns) {
    orders.push_back(order_of(incumbent));
  }
  for (auto& [price, order] : rated) {
    if (price < kInfinity && orders.size() < kMaxOrders) {
      orders.push_back(std::move(order));
    }
  }
  return orders;
}

// Where runs in that order end, and their prices; no states if all such plans
// cost more than the incumbent.  Relaxes the limits among plans of the order
// alone.  The relaxation mixes such plans; their ends in the
// mean come near to keeping the limits.
SiteSearch::Trial SiteSearch::fit_runs(const Order& order,
                                       std::span<const double> prices) {
  Trial trial;
  trial.prices.assign(prices.begin(), prices.end());
  PriceCuts cuts(chain_.rows, ascent_.scales());
  std::vector<std::vector<uint32_t>> ends;
  const auto evaluate = [&](std::span<const double> at) {
    price_table(at, order);
    const Runs runs = cheapest_runs(table_, order);
    if (runs.price == kInfinity) return false;
    const Arrangement states = arrange(order, runs.ends);
    if (ends.empty()) find_floors(states);
    charge_edges(states);
    ends.push_back(runs.ends);
    return choose(states, at);
  };
  if (!climb(evaluate, incumbent_->objective(), cuts, trial)) return trial;
  const std::vector<double> weights = cuts.weights();
  std::vector<uint32_t> mean;
  for (size_t p = 0; p < order.size(); ++p) {
    double end = 0.0;
    for (size_t c = 0; c < ends.size(); ++c) end += weights[c] * ends[c][p];
    mean.push_back(static_cast<uint32_t>(std::lround(end)));
  }
  mean.back() = static_cast<uint32_t>(chain_.segments.size());
  trial.states = arrange(order, mean);
  return trial;
}

void SiteSearch::try_orders(const Ways& ways, std::span<const double> prices,
                            std::span<const double> shares, uint64_t max_work,
                            const std::function<bool()>& is_done,
                            Incumbent& incumbent) {
  starts_.clear();
  if (!incumbent.exists()) return;
  ways_ = &ways;
  incumbent_ = &incumbent;
  last_work_ = work_ + incumbent.work() + max_work;
  trials_ = 0;
  find_least_peaks();
  starts_.push_back(trial_of(incumbent.choice().sites, prices));
  try_states(starts_.front(), kWorstArrangement * incumbent.objective());
  for (const Order& order : orders_of(shares, prices, starts_.front().states)) {
    if (is_spent() || is_done()) break;
    Trial start = fit_runs(order, prices);
    if (start.states.empty()) continue;
    round_ends(start);
    starts_.push_back(std::move(start));
  }
  std::stable_sort(
      starts_.begin(), starts_.end(),
      [](const Trial& a, const Trial& b) { return a.least < b.least; });
}

void SiteSearch::try_sites(const Sites& sites, std::span<const double> prices) {
  if (ways_ == nullptr) return;
  Trial trial = trial_of(sites, prices);
  try_states(trial, incumbent_->objective());
}

void SiteSearch::descend(const std::function<bool()>& is_done) {
  for (Trial& start : starts_) {
    if (start.least >= kWorthDescent * incumbent_->objective()) return;
    descend_from(std::move(start), is_done);
  }
}

}  // namespace tessera::planner
