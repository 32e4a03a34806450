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
  open.peak_floor.assign(chain.rows.size(), 0.0);
  return open;
}

Relaxation::Relaxation(const Chain& chain)
    : chain_(chain), states_(chain), num_states_(states_.num()), ways_(chain) {
  const Restriction open = no_restriction(chain);
  site_out_ = open.site_out;
  peak_floor_ = open.peak_floor;
  option_bound_.resize(chain.options.size());
  edge_price_.resize(chain.edges.size());
  for (auto& edge : edge_price_) {
    for (auto& phase : edge) {
      phase.resize(size_t{chain.num_sites} * chain.num_sites);
    }
  }
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    best_price_[phase].resize(chain.num_sites);
    best_option_[phase].resize(chain.num_sites);
    choice_.sites[phase].resize(chain.segments.size());
    choice_.options[phase].resize(chain.items.size());
  }
  item_states_.resize(chain.items.size() * num_states_);
  value_.resize(chain.segments.size() * num_states_);
  forward_.resize(value_.size());
  backward_.resize(value_.size());
  between_.resize(num_states_);
}

void Relaxation::open(const Restriction& restriction) {
  ways_.open(restriction.option_out);
  work_ += ways_.num_all() / kCopiesPerPrice;
  site_out_ = restriction.site_out;
  peak_floor_ = restriction.peak_floor;
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
      auto& priced_edge = edge_price_[e][phase];
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
  double* value = &value_[size_t{segment} * num_states_];
  for (uint32_t s = 0; s < num_states_; ++s) value[s] += states[s].value;
}

void Relaxation::price_segment(uint32_t segment) {
  const size_t first = size_t{segment} * chain_.num_sites;
  double* value = &value_[size_t{segment} * num_states_];
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

double Relaxation::edge_price(uint32_t edge, uint32_t from, uint32_t to) const {
  const auto& prices = edge_price_[edge];
  return prices[0][states_.site(0, from) * chain_.num_sites +
                   states_.site(0, to)] +
         prices[1]
               [states_.site(1, from) * chain_.num_sites + states_.site(1, to)];
}

// to[s] = min over t of from[t] + edge(t, s), or of edge(s, t) backwards.  The
// phases' edges add up, so where sites differ each is taken by itself.
void Relaxation::pass(const double* from, uint32_t edge, double* to,
                      bool forward) const {
  const uint32_t num_sites = chain_.num_sites;
  const auto& prices = edge_price_[edge];
  std::fill(to, to + num_states_, kInfinity);
  if (states_.all_tied()) {
    for (uint32_t t = 0; t < num_states_; ++t) {
      for (uint32_t s = 0; s < num_states_; ++s) {
        const uint32_t at = forward ? t * num_sites + s : s * num_sites + t;
        to[s] = std::min(to[s], from[t] + (prices[0][at] + prices[1][at]));
      }
    }
    return;
  }
  std::fill(between_.begin(), between_.end(), kInfinity);
  for (uint32_t p = 0; p < num_sites; ++p) {
    for (uint32_t q = 0; q < num_sites; ++q) {
      const double price =
          prices[0][forward ? p * num_sites + q : q * num_sites + p];
      for (uint32_t d = 0; d < num_sites; ++d) {
        double& best = between_[q * num_sites + d];
        best = std::min(best, from[p * num_sites + d] + price);
      }
    }
  }
  for (uint32_t d = 0; d < num_sites; ++d) {
    for (uint32_t e = 0; e < num_sites; ++e) {
      const double price =
          prices[1][forward ? d * num_sites + e : e * num_sites + d];
      for (uint32_t p = 0; p < num_sites; ++p) {
        double& best = to[p * num_sites + e];
        best = std::min(best, between_[p * num_sites + d] + price);
      }
    }
  }
}

double Relaxation::run_forward() {
  const size_t num_segments = chain_.segments.size();
  std::vector<double> arrival(num_states_, 0.0);
  for (size_t g = 0; g < num_segments; ++g) {
    double* here = &forward_[g * num_states_];
    for (uint32_t s = 0; s < num_states_; ++s) {
      here[s] = arrival[s] + value_[g * num_states_ + s];
    }
    const uint32_t edge = chain_.segments[g].edge;
    if (edge != kNone) pass(here, edge, arrival.data(), true);
  }
  const double* last = &forward_[(num_segments - 1) * num_states_];
  return *std::min_element(last, last + num_states_);
}

void Relaxation::run_backward() {
  std::vector<double> through(num_states_, 0.0);
  for (size_t g = chain_.segments.size(); g-- > 0;) {
    double* behind = &backward_[g * num_states_];
    const uint32_t edge = chain_.segments[g].edge;
    if (edge == kNone) {
      std::fill(behind, behind + num_states_, 0.0);
    } else {
      pass(through.data(), edge, behind, false);
    }
    for (uint32_t s = 0; s < num_states_; ++s) {
      through[s] = behind[s] + value_[g * num_states_ + s];
    }
  }
}

// The state of `segment` from which `state` of the next one is reached best.
uint32_t Relaxation::step_back(uint32_t segment, uint32_t state) const {
  uint32_t best = 0;
  double least = kInfinity;
  for (uint32_t s = 0; s < num_states_; ++s) {
    const double price = forward_[size_t{segment} * num_states_ + s] +
                         edge_price(chain_.segments[segment].edge, s, state);
    if (price < least) {
      least = price;
      best = s;
    }
  }
  return best;
}

void Relaxation::trace_back() {
  const size_t num_segments = chain_.segments.size();
  const double* last = &forward_[(num_segments - 1) * num_states_];
  auto state =
      static_cast<uint32_t>(std::min_element(last, last + num_states_) - last);
  for (size_t g = num_segments; g-- > 0;) {
    if (g + 1 < num_segments) {
      state = step_back(static_cast<uint32_t>(g), state);
    }
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
  shortest_ = run_forward();
  if (shortest_ == kInfinity) return kInfinity;
  trace_back();
  return shortest_ - limit_credit_;
}

double Relaxation::least_at(uint32_t segment, uint32_t phase,
                            uint32_t site) const {
  const size_t first = size_t{segment} * num_states_;
  double least = kInfinity;
  for (uint32_t s = 0; s < num_states_; ++s) {
    if (states_.site(phase, s) != site) continue;
    least = std::min(least, forward_[first + s] + backward_[first + s]);
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
  const size_t first = size_t{segment} * num_states_;
  const auto lower = [&](uint32_t option, uint32_t s, double price) {
    if (forward_[first + s] == kInfinity || states[s].value == kInfinity) {
      return;
    }
    double& bound = option_bound_[option];
    bound = std::min(bound, forward_[first + s] + backward_[first + s] -
                                states[s].value + price);
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
  run_backward();
  const double slack = cutoff + limit_credit_;
  uint32_t excluded = 0;
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    excluded += exclude_sites(g, slack, restriction);
    excluded += exclude_options(g, slack, restriction);
  }
  return excluded;
}

}  // namespace tessera::planner
