// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/relaxation.hpp"

#include <algorithm>

namespace tessera::planner {

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
    : chain_(chain), num_states_(chain.num_sites * chain.num_sites) {
  for (const Item& item : chain.items) {
    pair_begin_.push_back(static_cast<uint32_t>(pairs_.size()));
    for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
      if (chain.options[a].resident == kNone) continue;
      for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
        if (chain.options[b].resident == chain.options[a].resident) {
          pairs_.push_back({{a, b}});
        }
      }
    }
  }
  pair_begin_.push_back(static_cast<uint32_t>(pairs_.size()));
  option_price_.resize(chain.options.size());
  resident_price_.resize(chain.residents.size());
  edge_price_.resize(chain.edges.size());
  for (auto& edge : edge_price_) {
    for (auto& phase : edge) phase.resize(num_states_);
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

void Relaxation::price_all(const Restriction& restriction,
                           std::span<const double> prices) {
  for (size_t o = 0; o < chain_.options.size(); ++o) {
    option_price_[o] = restriction.option_out[o] != 0
                           ? kInfinity
                           : priced(chain_.options[o].charge, prices);
  }
  for (size_t r = 0; r < chain_.residents.size(); ++r) {
    resident_price_[r] = priced(chain_.residents[r], prices);
  }
  for (size_t e = 0; e < chain_.edges.size(); ++e) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t state = 0; state < num_states_; ++state) {
        edge_price_[e][phase][state] =
            priced(chain_.edges[e].charges[phase][state], prices);
      }
    }
  }
}

double Relaxation::with_resident(uint32_t item, uint32_t option) const {
  const uint32_t resident = chain_.options[option].resident;
  if (resident == kNone) return option_price_[option];
  return option_price_[option] +
         resident_price_[chain_.items[item].resident_begin + resident];
}

// The cheapest option of each phase at each site, its resident paid for.
void Relaxation::find_best(uint32_t item) {
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    auto& prices = best_price_[phase];
    std::fill(prices.begin(), prices.end(), kInfinity);
    const Item& entry = chain_.items[item];
    for (uint32_t o = entry.option_begin[phase]; o < entry.option_end[phase];
         ++o) {
      const double price = with_resident(item, o);
      const uint32_t site = chain_.options[o].site;
      if (price < prices[site]) {
        prices[site] = price;
        best_option_[phase][site] = o;
      }
    }
  }
}

// Two options that share a resident pay for it once; all other pairs are those
// of the best option of each phase.  A pair that shares costs no more than the
// same two paid apart, so the smaller of both is right.
void Relaxation::add_item(uint32_t segment, uint32_t item) {
  ItemState* states = &item_states_[size_t{item} * num_states_];
  const uint32_t num_sites = chain_.num_sites;
  const bool one_resident = chain_.items[item].one_resident;
  find_best(item);
  for (uint32_t p = 0; p < num_sites; ++p) {
    for (uint32_t d = 0; d < num_sites; ++d) {
      states[p * num_sites + d] = {
          one_resident ? kInfinity : best_price_[0][p] + best_price_[1][d],
          {best_option_[0][p], best_option_[1][d]}};
    }
  }
  for (uint32_t i = pair_begin_[item]; i < pair_begin_[item + 1]; ++i) {
    const auto& [a, b] = pairs_[i].options;
    const double price = with_resident(item, a) + option_price_[b];
    ItemState& state =
        states[chain_.options[a].site * num_sites + chain_.options[b].site];
    if (price < state.value) state = {price, {a, b}};
  }
  double* value = &value_[size_t{segment} * num_states_];
  for (uint32_t s = 0; s < num_states_; ++s) value[s] += states[s].value;
}

void Relaxation::price_segment(uint32_t segment,
                               const Restriction& restriction) {
  const uint32_t num_sites = chain_.num_sites;
  double* value = &value_[size_t{segment} * num_states_];
  for (uint32_t p = 0; p < num_sites; ++p) {
    for (uint32_t d = 0; d < num_sites; ++d) {
      const bool out =
          restriction.site_out[0][size_t{segment} * num_sites + p] != 0 ||
          restriction.site_out[1][size_t{segment} * num_sites + d] != 0 ||
          (chain_.segments[segment].tied && p != d);
      value[p * num_sites + d] = out ? kInfinity : 0.0;
    }
  }
  for (uint32_t i = chain_.segments[segment].item_begin;
       i < chain_.segments[segment].item_end; ++i) {
    add_item(segment, i);
  }
}

// to[s] = min over t of from[t] + edge(t, s), or of edge(s, t) backwards.  The
// phases' edges add up, so each is taken by itself.
void Relaxation::pass(const double* from, uint32_t edge, double* to,
                      bool forward) const {
  const uint32_t num_sites = chain_.num_sites;
  const auto& prices = edge_price_[edge];
  std::vector<double> between(num_states_, kInfinity);
  for (uint32_t p = 0; p < num_sites; ++p) {
    for (uint32_t q = 0; q < num_sites; ++q) {
      const double price =
          prices[0][forward ? p * num_sites + q : q * num_sites + p];
      for (uint32_t d = 0; d < num_sites; ++d) {
        double& best = between[q * num_sites + d];
        best = std::min(best, from[p * num_sites + d] + price);
      }
    }
  }
  std::fill(to, to + num_states_, kInfinity);
  for (uint32_t d = 0; d < num_sites; ++d) {
    for (uint32_t e = 0; e < num_sites; ++e) {
      const double price =
          prices[1][forward ? d * num_sites + e : e * num_sites + d];
      for (uint32_t p = 0; p < num_sites; ++p) {
        double& best = to[p * num_sites + e];
        best = std::min(best, between[p * num_sites + d] + price);
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
  const uint32_t num_sites = chain_.num_sites;
  const auto& prices = edge_price_[chain_.segments[segment].edge];
  uint32_t best = 0;
  double least = kInfinity;
  for (uint32_t s = 0; s < num_states_; ++s) {
    const double price =
        forward_[size_t{segment} * num_states_ + s] +
        prices[0][s / num_sites * num_sites + state / num_sites] +
        prices[1][s % num_sites * num_sites + state % num_sites];
    if (price < least) {
      least = price;
      best = s;
    }
  }
  return best;
}

void Relaxation::trace_back() {
  const uint32_t num_sites = chain_.num_sites;
  const size_t num_segments = chain_.segments.size();
  const double* last = &forward_[(num_segments - 1) * num_states_];
  auto state =
      static_cast<uint32_t>(std::min_element(last, last + num_states_) - last);
  for (size_t g = num_segments; g-- > 0;) {
    if (g + 1 < num_segments) {
      state = step_back(static_cast<uint32_t>(g), state);
    }
    choice_.sites[0][g] = state / num_sites;
    choice_.sites[1][g] = state % num_sites;
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      const ItemState& chosen = item_states_[size_t{i} * num_states_ + state];
      choice_.options[0][i] = chosen.options[0];
      choice_.options[1][i] = chosen.options[1];
    }
  }
}

double Relaxation::solve(const Restriction& restriction,
                         std::span<const double> prices) {
  cost_weight_ = 1.0;
  return find_shortest(restriction, prices);
}

double Relaxation::solve_limits(const Restriction& restriction,
                                std::span<const double> prices) {
  cost_weight_ = 0.0;
  return find_shortest(restriction, prices);
}

double Relaxation::find_shortest(const Restriction& restriction,
                                 std::span<const double> prices) {
  work_ += chain_.options.size();
  price_all(restriction, prices);
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    price_segment(g, restriction);
  }
  limit_credit_ = 0.0;
  for (size_t r = 0; r < chain_.rows.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind != RowKind::kLimit || prices[r] == 0.0) continue;
    limit_credit_ += prices[r] * (row.capacity - restriction.peak_floor[r]);
  }
  shortest_ = run_forward();
  if (shortest_ == kInfinity) return kInfinity;
  trace_back();
  return shortest_ - limit_credit_;
}

double Relaxation::least_at(uint32_t segment, uint32_t phase,
                            uint32_t site) const {
  const uint32_t num_sites = chain_.num_sites;
  const size_t first = size_t{segment} * num_states_;
  double least = kInfinity;
  for (uint32_t other = 0; other < num_sites; ++other) {
    const uint32_t s =
        phase == 0 ? site * num_sites + other : other * num_sites + site;
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

// The length of the shortest path on which `item` uses `option` in `phase`.
double Relaxation::least_with(uint32_t segment, uint32_t item, uint32_t phase,
                              uint32_t option) const {
  const uint32_t num_sites = chain_.num_sites;
  const Item& entry = chain_.items[item];
  const uint32_t site = chain_.options[option].site;
  const uint32_t resident = chain_.options[option].resident;
  const uint32_t other_phase = 1 - phase;
  double least = kInfinity;
  for (uint32_t o = entry.option_begin[other_phase];
       o < entry.option_end[other_phase]; ++o) {
    const bool shares =
        resident != kNone && chain_.options[o].resident == resident;
    if (entry.one_resident && !shares) continue;
    const double price = with_resident(item, option) +
                         (shares ? option_price_[o] : with_resident(item, o));
    const uint32_t other = chain_.options[o].site;
    const uint32_t s =
        phase == 0 ? site * num_sites + other : other * num_sites + site;
    const size_t at = size_t{segment} * num_states_ + s;
    const double item_value =
        item_states_[size_t{item} * num_states_ + s].value;
    if (forward_[at] == kInfinity || item_value == kInfinity) continue;
    least = std::min(least, forward_[at] + backward_[at] - item_value + price);
  }
  return least;
}

uint32_t Relaxation::exclude_options(uint32_t segment, double slack,
                                     Restriction& restriction) {
  uint32_t excluded = 0;
  for (uint32_t i = chain_.segments[segment].item_begin;
       i < chain_.segments[segment].item_end; ++i) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (uint32_t o = chain_.items[i].option_begin[phase];
           o < chain_.items[i].option_end[phase]; ++o) {
        if (restriction.option_out[o] != 0) continue;
        if (least_with(segment, i, phase, o) <= slack) continue;
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
