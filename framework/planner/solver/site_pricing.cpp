// SPDX-License-Identifier: Apache-2.0
//
// What arrangements cost at given prices, and what they use.

#include <algorithm>
#include <numeric>

#include "framework/planner/solver/site_search.hpp"

namespace tessera::planner {

SiteSearch::SiteSearch(const Chain& chain)
    : chain_(chain), states_(chain), peaks_(chain), ascent_(chain) {
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    choice_.options[phase].resize(chain.items.size());
    choice_.sites[phase].resize(chain.segments.size());
  }
  sums_.resize(chain.rows.size());
  all_states_.resize(states_.num());
  std::iota(all_states_.begin(), all_states_.end(), 0U);
  table_.num_states = states_.num();
  for (const Segment& segment : chain.segments) {
    if (segment.edge != kNone) table_.edge_of.push_back(segment.edge);
  }
  table_.edges.resize(chain.edges.size() * states_.num() * states_.num());
}

// The least peak of every item in every state.
void SiteSearch::find_least_peaks() {
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

// The least that plans of this arrangement have as peaks.
void SiteSearch::find_floors(const Arrangement& states) {
  const size_t num_rows = chain_.rows.size();
  floors_ = given_floors_;
  floors_.resize(num_rows, 0.0);
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      const double* least =
          &least_peaks_[(size_t{i} * states_.num() + states[g]) * num_rows];
      for (size_t r = 0; r < num_rows; ++r) {
        floors_[r] = std::max(floors_[r], least[r]);
      }
    }
  }
}

double SiteSearch::priced_edge(const Edge& edge, uint32_t from, uint32_t to,
                               std::span<const double> prices) const {
  double total = 0.0;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    const Charge& charge =
        edge.charges[phase][states_.site(phase, from) * chain_.num_sites +
                            states_.site(phase, to)];
    total += charge.cost;
    for (uint32_t u = 0; u < charge.sums.count; ++u) {
      const Use& use = chain_.uses[charge.sums.begin + u];
      total += prices[use.row] * use.amount;
    }
  }
  return total;
}

// What each segment costs in these states, and going on among all of them.
void SiteSearch::price_table(std::span<const double> prices,
                             std::span<const uint32_t> states) {
  const uint32_t num_states = states_.num();
  table_.segments.assign(chain_.segments.size() * num_states, kInfinity);
  std::vector<uint32_t> sorted(states.begin(), states.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (size_t g = 0; g < chain_.segments.size(); ++g) {
    const Segment& segment = chain_.segments[g];
    for (const uint32_t s : sorted) {
      if (!states_.allows(segment, s)) continue;
      value_ = 0.0;
      bool chosen = true;
      for (uint32_t i = segment.item_begin; chosen && i < segment.item_end;
           ++i) {
        chosen = choose_item(i, s, prices);
      }
      if (chosen) table_.segments[g * num_states + s] = value_;
    }
  }
  double* price = table_.edges.data();
  for (const Edge& edge : chain_.edges) {
    for (uint32_t from = 0; from < num_states; ++from) {
      for (uint32_t to = 0; to < num_states; ++to) {
        *price++ = priced_edge(edge, from, to, prices);
      }
    }
  }
}

}  // namespace tessera::planner
