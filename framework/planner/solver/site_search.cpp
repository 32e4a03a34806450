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

// How often prices are raised a little until a choice keeps all limits.
constexpr uint32_t kAttempts = 60;

// Arrangements tried in one run, and from how many the search descends.
constexpr uint32_t kMaxTrials = 600;
constexpr size_t kDescents = 8;

// Orders whose bound is above the best plan by more than this share are not
// told apart.
constexpr double kWorstStart = 1.1;

// States with a smaller share are left out of the orders that are tried.
constexpr double kWorthShare = 0.01;
constexpr size_t kMaxParts = 5;

// Improvements smaller than this share are not followed.
constexpr double kWorthMoving = 1e-6;

}  // namespace

SiteSearch::SiteSearch(const Chain& chain)
    : chain_(chain), states_(chain), peaks_(chain), ascent_(chain) {
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    choice_.options[phase].resize(chain.items.size());
    choice_.sites[phase].resize(chain.segments.size());
  }
}

// The least peak of every item in every state.
void SiteSearch::find_floors() {
  const size_t num_rows = chain_.rows.size();
  least_peaks_.assign(chain_.items.size() * states_.num() * num_rows, 0.0);
  if (peaks_.empty()) return;
  std::vector<double> peaks(num_rows);
  const auto lower = [&](Ways::Range range, double* least, bool first) {
    for (uint32_t w = range.begin; w < range.end; ++w) {
      std::fill(peaks.begin(), peaks.end(), 0.0);
      for (const uint32_t o : ways_->options(w)) {
        if (o == kNone) continue;
        for (const Use& use : peaks_.of(o)) {
          peaks[use.row] = std::max(peaks[use.row], use.amount);
        }
      }
      for (size_t r = 0; r < num_rows; ++r) {
        least[r] = first ? peaks[r] : std::min(least[r], peaks[r]);
      }
      first = false;
    }
  };
  for (uint32_t i = 0; i < chain_.items.size(); ++i) {
    if (!chain_.items[i].one_resident) continue;
    for (uint32_t s = 0; s < states_.num(); ++s) {
      lower(ways_->of(i, WayKind::kPair, s),
            &least_peaks_[(size_t{i} * states_.num() + s) * num_rows], true);
    }
  }
}

void SiteSearch::charge_edges(const Arrangement& states) {
  Totals totals{0.0, std::vector<double>(chain_.rows.size()),
                std::vector<double>(chain_.rows.size())};
  for (size_t g = 0; g + 1 < chain_.segments.size(); ++g) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const uint32_t at = states_.site(phase, states[g]) * chain_.num_sites +
                          states_.site(phase, states[g + 1]);
      add_charge(chain_,
                 chain_.edges[chain_.segments[g].edge].charges[phase][at],
                 totals);
    }
  }
  edge_cost_ = totals.cost;
  edge_sums_ = std::move(totals.sums);
}

double SiteSearch::priced_way(uint32_t way,
                              std::span<const double> prices) const {
  double total = ways_->cost(way);
  for (const Use& use : ways_->uses(way)) {
    total += prices[use.row] * use.amount;
  }
  return total;
}

bool SiteSearch::choose_item(uint32_t item, uint32_t state,
                             std::span<const double> prices) {
  std::array<uint32_t, kNumWayKinds> best{kNone, kNone, kNone};
  std::array<double, kNumWayKinds> least{kInfinity, kInfinity, kInfinity};
  for (uint32_t kind = 0; kind < kNumWayKinds; ++kind) {
    const bool both = kind == static_cast<uint32_t>(WayKind::kPair);
    if (!both && chain_.items[item].one_resident) continue;
    const auto range = ways_->of(item, WayKind{kind},
                                 both ? state : states_.site(kind, state));
    work_ += range.end - range.begin;
    for (uint32_t w = range.begin; w < range.end; ++w) {
      const double price = priced_way(w, prices);
      if (price >= least[kind]) continue;
      least[kind] = price;
      best[kind] = w;
    }
  }
  const auto take = [this](uint32_t way) {
    for (const Use& use : ways_->uses(way)) sums_[use.row] += use.amount;
  };
  if (least[0] + least[1] < least[2]) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      take(best[phase]);
      choice_.options[phase][item] = ways_->options(best[phase])[phase];
    }
    value_ += least[0] + least[1];
    return true;
  }
  if (best[2] == kNone) return false;
  take(best[2]);
  value_ += least[2];
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    choice_.options[phase][item] = ways_->options(best[2])[phase];
  }
  return true;
}

// The cheapest options where everything is; false if there are none.
//
// Requires  charge_edges() of the same states
bool SiteSearch::choose(const Arrangement& states,
                        std::span<const double> prices) {
  sums_ = edge_sums_;
  value_ = edge_cost_;
  for (size_t r = 0; r < prices.size(); ++r) value_ += prices[r] * sums_[r];
  if (value_ == kInfinity) return false;
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    const Segment& segment = chain_.segments[g];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      choice_.sites[phase][g] = states_.site(phase, states[g]);
    }
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      if (!choose_item(i, states[g], prices)) return false;
    }
  }
  return value_ < kInfinity;
}

double SiteSearch::bound_at(std::span<const double> prices) const {
  double bound = value_;
  for (size_t r = 0; r < prices.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind != RowKind::kLimit || prices[r] == 0.0) continue;
    bound -= prices[r] * (row.capacity - floors_[r]);
  }
  return bound;
}

// Raises the trial's bound.  False once no plan below `cutoff` is left.
bool SiteSearch::settle(Trial& trial, double cutoff) {
  charge_edges(trial.states);
  const size_t num_rows = chain_.rows.size();
  floors_.assign(num_rows, 0.0);
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    const Segment& segment = chain_.segments[g];
    if (!states_.allows(segment, trial.states[g])) return false;
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      const double* least =
          &least_peaks_[(size_t{i} * states_.num() + trial.states[g]) *
                        num_rows];
      for (size_t r = 0; r < num_rows; ++r) {
        floors_[r] = std::max(floors_[r], least[r]);
      }
    }
  }
  ascent_.restart();
  ascent_.set_prices(trial.prices);
  double best = -kInfinity;
  for (uint32_t step = 0; step < kSteps; ++step) {
    if (!choose(trial.states, ascent_.prices())) return false;
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

// Makes what is short dearer until the choice keeps the limits.
bool SiteSearch::make_feasible(Trial& trial) {
  std::vector<double> prices = trial.prices;
  for (uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    if (!choose(trial.states, prices)) return false;
    const Totals totals = add_up(chain_, choice_);
    if (is_feasible(chain_, totals)) return true;
    for (size_t r = 0; r < prices.size(); ++r) {
      const Row& row = chain_.rows[r];
      if (excess_of(row, totals.sums[r] + totals.peaks[r]) == 0.0) continue;
      const double unit =
          1e-5 * std::fabs(trial.least) / std::max(row.capacity, 1e-30);
      const double factor = attempt < kAttempts / 2 ? 1.01 : 1.2;
      prices[r] = std::max(prices[r] * factor, prices[r] + unit);
    }
  }
  return false;
}

bool SiteSearch::try_states(Trial& trial, double cutoff, Incumbent& incumbent) {
  ++trials_;
  if (!settle(trial, cutoff)) return false;
  if (make_feasible(trial)) {
    trial.objective = incumbent.polish(choice_, trial.prices);
  }
  return true;
}

double SiteSearch::priced_edge(uint32_t segment, uint32_t from, uint32_t to,
                               std::span<const double> prices) const {
  double total = 0.0;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    const Charge& charge =
        chain_.edges[chain_.segments[segment].edge]
            .charges[phase][states_.site(phase, from) * chain_.num_sites +
                            states_.site(phase, to)];
    total += charge.cost;
    for (uint32_t u = 0; u < charge.sums.count; ++u) {
      const Use& use = chain_.uses[charge.sums.begin + u];
      total += prices[use.row] * use.amount;
    }
  }
  return total;
}

// What each segment costs in every state.
void SiteSearch::price_table(std::span<const double> prices) {
  table_.assign(chain_.segments.size() * states_.num(), kInfinity);
  double* price = table_.data();
  for (const Segment& segment : chain_.segments) {
    for (uint32_t s = 0; s < states_.num(); ++s, ++price) {
      if (!states_.allows(segment, s)) continue;
      value_ = 0.0;
      bool chosen = true;
      for (uint32_t i = segment.item_begin; chosen && i < segment.item_end;
           ++i) {
        chosen = choose_item(i, s, prices);
      }
      if (chosen) *price = value_;
    }
  }
}

// A bound on plans with this arrangement, at the prices of the table; limits
// apart, which are the same for all.
double SiteSearch::value_of(const Arrangement& states,
                            std::span<const double> prices) const {
  double value = 0.0;
  for (uint32_t g = 0; g < states.size(); ++g) {
    value += table_[size_t{g} * states_.num() + states[g]];
    if (g + 1 < states.size()) {
      value += priced_edge(g, states[g], states[g + 1], prices);
    }
  }
  return value;
}

// The neighbors, most promising first.
std::vector<SiteSearch::Trial> SiteSearch::moves_from(const Trial& trial) {
  price_table(trial.prices);
  const double before = value_of(trial.states, trial.prices);
  std::vector<Trial> moves;
  for (Arrangement& states : neighbors_of(trial.states, states_.num())) {
    Trial move;
    move.least = trial.least + value_of(states, trial.prices) - before;
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
  return trials_ >= kMaxTrials || work_ >= last_work_;
}

void SiteSearch::descend(Trial trial, Incumbent& incumbent) {
  bool moved = true;
  while (moved && !is_spent()) {
    moved = false;
    for (Trial& move : moves_from(trial)) {
      const double cutoff = trial.least * (1.0 - kWorthMoving);
      if (move.least >= cutoff || is_spent()) break;
      if (!try_states(move, cutoff, incumbent)) continue;
      trial = std::move(move);
      moved = true;
      break;
    }
  }
}

SiteSearch::Trial SiteSearch::trial_of(const Choice& choice,
                                       std::span<const double> prices) const {
  Trial trial;
  for (size_t g = 0; g < chain_.segments.size(); ++g) {
    trial.states.push_back(
        states_.with(choice.sites[0][g], choice.sites[1][g]));
  }
  trial.prices.assign(prices.begin(), prices.end());
  return trial;
}

// What each segment takes of every limit in each state.
Bulks SiteSearch::find_bulks(std::span<const double> prices) {
  const size_t num_rows = chain_.rows.size();
  Bulks bulks;
  bulks.num_states = states_.num();
  bulks.num_rows = static_cast<uint32_t>(num_rows);
  bulks.parts.assign(chain_.segments.size() * states_.num() * num_rows, 0.0);
  double* part = bulks.parts.data();
  for (const Segment& segment : chain_.segments) {
    for (uint32_t s = 0; s < states_.num(); ++s, part += num_rows) {
      if (!states_.allows(segment, s)) continue;
      sums_.assign(num_rows, 0.0);
      for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
        choose_item(i, s, prices);
      }
      for (size_t r = 0; r < num_rows; ++r) {
        const Row& row = chain_.rows[r];
        if (row.kind == RowKind::kLoad || row.capacity <= 0.0) continue;
        part[r] = sums_[r] / row.capacity;
      }
    }
  }
  return bulks;
}

// The states with a worthwhile share in every order.
std::vector<SiteSearch::Trial> SiteSearch::starts_of(
    std::span<const double> shares, std::span<const double> prices) {
  std::vector<uint32_t> parts(shares.size());
  std::iota(parts.begin(), parts.end(), 0U);
  std::stable_sort(
      parts.begin(), parts.end(),
      [shares](uint32_t a, uint32_t b) { return shares[a] > shares[b]; });
  while (!parts.empty() &&
         (parts.size() > kMaxParts || shares[parts.back()] < kWorthShare)) {
    parts.pop_back();
  }
  if (parts.empty()) return {};
  std::sort(parts.begin(), parts.end());
  const Bulks bulks = find_bulks(prices);
  std::vector<Trial> starts;
  do {
    Trial start;
    start.states = runs_in_order(parts, shares, bulks);
    start.prices.assign(prices.begin(), prices.end());
    starts.push_back(std::move(start));
  } while (std::next_permutation(parts.begin(), parts.end()));
  return starts;
}

void SiteSearch::run(const Ways& ways, std::span<const double> prices,
                     std::span<const double> shares, uint64_t max_work,
                     Incumbent& incumbent) {
  if (!incumbent.exists()) return;
  last_work_ = work_ + max_work;
  ways_ = &ways;
  trials_ = 0;
  find_floors();
  std::vector<Trial> starts = starts_of(shares, prices);
  starts.insert(starts.begin(), trial_of(incumbent.choice(), prices));
  for (Trial& start : starts) {
    if (is_spent()) break;
    try_states(start, kWorstStart * incumbent.objective(), incumbent);
  }
  std::stable_sort(
      starts.begin(), starts.end(),
      [](const Trial& a, const Trial& b) { return a.least < b.least; });
  starts.resize(std::min(starts.size(), kDescents));
  for (Trial& start : starts) {
    if (start.least < kInfinity) descend(std::move(start), incumbent);
  }
}

}  // namespace tessera::planner
