// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/relaxation.hpp"

#include <algorithm>

namespace tessera::planner {
namespace {

// Opening a way costs about half of pricing one.
constexpr uint64_t kCopiesPerPrice = 2;

}  // namespace

Restriction no_restriction(const Chain& chain) {
  Restriction open;
  open.option_out.assign(chain.options.size(), 0);
  for (auto& out : open.site_out) {
    out.assign(chain.segments.size() * chain.num_sites, 0);
  }
  open.site_needed.assign(chain.num_sites, 0);
  open.peak_floor.assign(chain.rows.size(), 0.0);
  return open;
}

Relaxation::Relaxation(const Chain& chain)
    : chain_(chain),
      states_(chain),
      num_states_(states_.num()),
      ways_(chain),
      kinds_(chain),
      paths_(chain) {
  const Restriction open = no_restriction(chain);
  site_out_ = open.site_out;
  peak_floor_ = open.peak_floor;
  option_bound_.resize(chain.options.size());
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    best_price_[phase].resize(chain.num_sites);
    best_option_[phase].resize(chain.num_sites);
    choice_.sites[phase].resize(chain.segments.size());
    choice_.options[phase].resize(chain.items.size());
  }
  item_states_.resize(chain.items.size() * num_states_);
  path_.resize(chain.segments.size());
}

void Relaxation::open(const Restriction& restriction) {
  ways_.open(restriction.option_out);
  work_ += ways_.num_all() / kCopiesPerPrice;
  site_out_ = restriction.site_out;
  peak_floor_ = restriction.peak_floor;
  paths_.need(restriction.site_needed);
  counts_ = restriction.counts;
}

double Relaxation::priced(const Charge& charge,
                          std::span<const double> prices) const {
  double total =
      charge.cost == kInfinity ? kInfinity : cost_weight_ * charge.cost;
  for (uint32_t i = 0; i < charge.sums.count; ++i) {
    const Use& use = chain_.uses[charge.sums.begin + i];
    total += prices[use.row] * use.amount;
  }
  return total;
}

void Relaxation::price_edges(std::span<const double> prices) {
  for (size_t e = 0; e < chain_.edges.size(); ++e) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const std::span<double> priced_edge = paths_.edge_prices(e, phase);
      for (size_t k = 0; k < priced_edge.size(); ++k) {
        priced_edge[k] = priced(chain_.edges[e].charges[phase][k], prices);
      }
    }
  }
}

// The cheapest option of each phase at each site, its resident paid for.
void Relaxation::find_best(uint32_t item) {
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t site = 0; site < chain_.num_sites; ++site) {
      const auto range = ways_.of(item, WayKind{phase}, site);
      const uint32_t way = ways_.cheapest(range);
      best_price_[phase][site] = way == kNone ? kInfinity : ways_.price_of(way);
      best_option_[phase][site] = way == kNone ? 0 : ways_.options(way)[phase];
    }
  }
}

// Two options that share a resident pay for it once; all other pairs are those
// of the best option of each phase.  A pair that shares costs no more than the
// same two paid apart, so the smaller of both is right.
void Relaxation::add_item(uint32_t segment, uint32_t item) {
  ItemState* states = &item_states_[size_t{item} * num_states_];
  if (chain_.items[item].one_resident) {
    std::fill_n(states, num_states_, ItemState());
  } else {
    find_best(item);
    for (uint32_t s = 0; s < num_states_; ++s) {
      const uint32_t p = states_.site(0, s);
      const uint32_t d = states_.site(1, s);
      states[s] = {best_price_[0][p] + best_price_[1][d],
                   {best_option_[0][p], best_option_[1][d]}};
    }
  }
  for (uint32_t s = 0; s < num_states_; ++s) {
    const uint32_t w = ways_.cheapest(ways_.of(item, WayKind::kPair, s));
    if (w == kNone || ways_.price_of(w) >= states[s].value) continue;
    states[s] = {ways_.price_of(w), ways_.options(w)};
  }
  const std::span<double> value = paths_.segment_prices(segment);
  for (uint32_t s = 0; s < num_states_; ++s) value[s] += states[s].value;
}

void Relaxation::price_segment(uint32_t segment) {
  const size_t first = size_t{segment} * chain_.num_sites;
  const std::span<double> value = paths_.segment_prices(segment);
  for (uint32_t s = 0; s < num_states_; ++s) {
    const uint32_t p = states_.site(0, s);
    const uint32_t d = states_.site(1, s);
    const bool out = site_out_[0][first + p] != 0 ||
                     site_out_[1][first + d] != 0 ||
                     !states_.allows(chain_.segments[segment], s);
    value[s] = out ? kInfinity : 0.0;
  }
  for (uint32_t i = chain_.segments[segment].item_begin;
       i < chain_.segments[segment].item_end; ++i) {
    add_item(segment, i);
  }
}

// Limits of counts whose prices are left out have none.
void Relaxation::price_counts(std::span<const double> prices) {
  const size_t num_rows = chain_.rows.size();
  for (size_t c = 0; c < counts_.size() && num_rows + c < prices.size(); ++c) {
    const CountLimit& limit = counts_[c];
    const double price = prices[num_rows + c];
    if (price == 0.0) continue;
    limit_credit_ += price * limit.capacity();
    if (limit.kind == kNone) {
      price_crossings(limit, price * limit.sign());
      continue;
    }
    for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
      if (kinds_.of(g) != limit.kind) continue;
      const std::span<double> value = paths_.segment_prices(g);
      for (uint32_t s = 0; s < num_states_; ++s) {
        if (states_.site(limit.phase, s) != limit.site) continue;
        value[s] += price * limit.sign();
      }
    }
  }
}

void Relaxation::price_crossings(const CountLimit& limit, double price) {
  const uint32_t num_sites = chain_.num_sites;
  for (size_t e = 0; e < chain_.edges.size(); ++e) {
    const std::span<double> prices = paths_.edge_prices(e, limit.phase);
    for (uint32_t from = 0; from < num_sites; ++from) {
      if (!limit.counts(from, limit.site)) continue;
      prices[from * num_sites + limit.site] += price;
    }
  }
}

void Relaxation::trace_back() {
  paths_.trace(path_);
  for (size_t g = 0; g < path_.size(); ++g) {
    const uint32_t state = path_[g];
    choice_.sites[0][g] = states_.site(0, state);
    choice_.sites[1][g] = states_.site(1, state);
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      const ItemState& chosen = item_states_[size_t{i} * num_states_ + state];
      choice_.options[0][i] = chosen.options[0];
      choice_.options[1][i] = chosen.options[1];
    }
  }
}

double Relaxation::solve(std::span<const double> prices) {
  cost_weight_ = 1.0;
  return find_shortest(prices);
}

double Relaxation::solve_limits(std::span<const double> prices) {
  cost_weight_ = 0.0;
  return find_shortest(prices);
}

double Relaxation::find_shortest(std::span<const double> prices) {
  work_ += ways_.num_open();
  ways_.price(cost_weight_, prices);
  price_edges(prices);
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) price_segment(g);
  limit_credit_ = 0.0;
  for (size_t r = 0; r < chain_.rows.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind != RowKind::kLimit || prices[r] == 0.0) continue;
    limit_credit_ += prices[r] * (row.capacity - peak_floor_[r]);
  }
  price_counts(prices);
  shortest_ = paths_.find();
  if (shortest_ == kInfinity) return kInfinity;
  trace_back();
  return shortest_ - limit_credit_;
}

double Relaxation::least_at(uint32_t segment, uint32_t phase,
                            uint32_t site) const {
  double least = kInfinity;
  for (uint32_t s = 0; s < num_states_; ++s) {
    if (states_.site(phase, s) != site) continue;
    least = std::min(least, paths_.through(segment, s));
  }
  return least - limit_credit_;
}

uint32_t Relaxation::exclude_sites(uint32_t segment, double slack,
                                   Restriction& restriction) {
  const uint32_t num_sites = chain_.num_sites;
  uint32_t excluded = 0;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t site = 0; site < num_sites; ++site) {
      uint8_t& out =
          restriction.site_out[phase][size_t{segment} * num_sites + site];
      if (out != 0 || least_at(segment, phase, site) + limit_credit_ <= slack) {
        continue;
      }
      out = 1;
      ++excluded;
    }
  }
  return excluded;
}

// The lengths of the shortest paths on which `item` uses each of its options.
void Relaxation::bound_options(uint32_t segment, uint32_t item) {
  const Item& entry = chain_.items[item];
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    std::fill(option_bound_.begin() + entry.option_begin[phase],
              option_bound_.begin() + entry.option_end[phase], kInfinity);
  }
  const ItemState* states = &item_states_[size_t{item} * num_states_];
  const auto lower = [&](uint32_t option, uint32_t s, double price) {
    const double through = paths_.through(segment, s);
    if (through == kInfinity || states[s].value == kInfinity) return;
    double& bound = option_bound_[option];
    bound = std::min(bound, through - states[s].value + price);
  };
  if (!entry.one_resident) find_best(item);
  for (uint32_t s = 0; s < num_states_; ++s) {
    if (!entry.one_resident) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        const double other = best_price_[1 - phase][states_.site(1 - phase, s)];
        const auto range =
            ways_.of(item, WayKind{phase}, states_.site(phase, s));
        for (uint32_t w = range.begin; w < range.end; ++w) {
          lower(ways_.options(w)[phase], s, ways_.price_of(w) + other);
        }
      }
    }
    const auto both = ways_.of(item, WayKind::kPair, s);
    for (uint32_t w = both.begin; w < both.end; ++w) {
      for (const uint32_t option : ways_.options(w)) {
        lower(option, s, ways_.price_of(w));
      }
    }
  }
}

uint32_t Relaxation::exclude_options(uint32_t segment, double slack,
                                     Restriction& restriction) {
  uint32_t excluded = 0;
  for (uint32_t i = chain_.segments[segment].item_begin;
       i < chain_.segments[segment].item_end; ++i) {
    bound_options(segment, i);
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t o = chain_.items[i].option_begin[phase];
           o < chain_.items[i].option_end[phase]; ++o) {
        if (restriction.option_out[o] != 0) continue;
        if (option_bound_[o] <= slack) continue;
        restriction.option_out[o] = 1;
        ++excluded;
      }
    }
  }
  return excluded;
}

uint32_t Relaxation::exclude_above(double cutoff, Restriction& restriction) {
  paths_.find_ways();
  const double slack = cutoff + limit_credit_;
  uint32_t excluded = 0;
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    excluded += exclude_sites(g, slack, restriction);
    excluded += exclude_options(g, slack, restriction);
  }
  return excluded;
}

}  // namespace tessera::planner
