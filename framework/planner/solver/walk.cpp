// SPDX-License-Identifier: Apache-2.0
//
// Along the chain with what is left of each limit in hand: the way from a
// relaxation's prices to a plan that keeps the limits.

#include <algorithm>
#include <numeric>

#include "framework/planner/solver/relaxation.hpp"

namespace tessera::planner {
namespace {

// Placing an item costs about as much as pricing so many ways.
constexpr uint64_t kPricesPerPlacing = 8;

// Lengths of runs of segments that are moved together.
constexpr uint32_t kRuns[] = {1, 2, 4, 8, 16, 32};

}  // namespace

bool Relaxation::fits(const Totals& totals, const double* reserve) const {
  for (size_t r = 0; r < chain_.rows.size(); ++r) {
    const double total = totals.sums[r] + totals.peaks[r] + reserve[r];
    if (excess_of(chain_.rows[r], total) > 0.0) return false;
  }
  return true;
}

// What the segments behind each one need of every row at the very least.
void Relaxation::find_reserves(const Restriction& restriction) {
  const size_t num_rows = chain_.rows.size();
  const size_t num_segments = chain_.segments.size();
  reserve_.assign((num_segments + 1) * num_rows, 0.0);
  std::vector<double> least(num_rows);
  for (size_t g = num_segments; g-- > 0;) {
    double* here = &reserve_[g * num_rows];
    std::copy_n(here + num_rows, num_rows, here);
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        std::fill(least.begin(), least.end(), kInfinity);
        const Item& item = chain_.items[i];
        for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
             ++o) {
          if (restriction.option_out[o] != 0) continue;
          Totals totals{0.0, std::vector<double>(num_rows),
                        std::vector<double>(num_rows)};
          add_charge(chain_, chain_.options[o].charge, totals);
          for (size_t r = 0; r < num_rows; ++r) {
            least[r] = std::min(least[r], totals.sums[r]);
          }
        }
        for (size_t r = 0; r < num_rows; ++r) {
          if (least[r] < kInfinity) here[r] += least[r];
        }
      }
    }
  }
}

// Calls visit(prefill option, decode option, price) for all ways to run `item`
// in `state`.
template <typename Visit>
void Relaxation::for_ways(uint32_t item, uint32_t state,
                          const Visit& visit) const {
  const auto prefill =
      ways_.of(item, WayKind::kPrefillAlone, states_.site(0, state));
  const auto decode =
      ways_.of(item, WayKind::kDecodeAlone, states_.site(1, state));
  for (uint32_t v = prefill.begin; v < prefill.end; ++v) {
    for (uint32_t w = decode.begin; w < decode.end; ++w) {
      visit(ways_.options(v)[0], ways_.options(w)[1],
            ways_.price_of(v) + ways_.price_of(w));
    }
  }
  const auto both = ways_.of(item, WayKind::kPair, state);
  for (uint32_t w = both.begin; w < both.end; ++w) {
    visit(ways_.options(w)[0], ways_.options(w)[1], ways_.price_of(w));
  }
}

// The cheapest two options of `item` in `state` that fit, added to `totals`.
bool Relaxation::place_item(uint32_t item, uint32_t state,
                            const double* reserve, Totals& totals) {
  const ItemState& best = item_states_[size_t{item} * num_states_ + state];
  work_ += kPricesPerPlacing;
  if (best.value == kInfinity) return false;
  Totals with = totals;
  charge_item(chain_, item, best.options[0], best.options[1], with);
  std::array<uint32_t, kNumPhases> chosen = best.options;
  if (!fits(with, reserve)) {
    double least = kInfinity;
    for_ways(item, state, [&](uint32_t a, uint32_t b, double price) {
      if (price >= least) return;
      Totals other = totals;
      charge_item(chain_, item, a, b, other);
      if (!fits(other, reserve)) return;
      least = price;
      chosen = {a, b};
      with = std::move(other);
    });
    if (least == kInfinity) return false;
  }
  totals = std::move(with);
  walked_.options[0][item] = chosen[0];
  walked_.options[1][item] = chosen[1];
  return true;
}

bool Relaxation::place_segment(uint32_t segment, uint32_t state,
                               const Totals& before, Totals& out_totals) {
  if (paths_.segment_prices(segment)[state] == kInfinity) return false;
  out_totals = before;
  walked_.sites[0][segment] = states_.site(0, state);
  walked_.sites[1][segment] = states_.site(1, state);
  if (segment > 0) charge_edge(segment - 1, out_totals);
  // Within a segment the reserve of those behind it is kept; that of its own
  // later items is left to chance.
  const double* reserve = &reserve_[(segment + 1) * chain_.rows.size()];
  for (uint32_t i = chain_.segments[segment].item_begin;
       i < chain_.segments[segment].item_end; ++i) {
    if (!place_item(i, state, reserve, out_totals)) return false;
  }
  return true;
}

// The edge behind `segment`, at the sites that walked_ has.
void Relaxation::charge_edge(uint32_t segment, Totals& totals) const {
  const auto& charges = chain_.edges[chain_.segments[segment].edge].charges;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    add_charge(chain_,
               charges[phase][walked_.sites[phase][segment] * chain_.num_sites +
                              walked_.sites[phase][segment + 1]],
               totals);
  }
}

// `totals` without segments first .. last - 1 and the edges at both ends.
void Relaxation::uncharge_run(uint32_t first, uint32_t last,
                              const Choice& choice, Totals& totals) const {
  for (uint32_t g = first == 0 ? 0 : first - 1; g < last; ++g) {
    const Segment& segment = chain_.segments[g];
    for (uint32_t i = segment.item_begin; g >= first && i < segment.item_end;
         ++i) {
      uncharge_item(chain_, i, choice.options[0][i], choice.options[1][i],
                    totals);
    }
    if (segment.edge == kNone) continue;
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      remove_charge(
          chain_,
          chain_.edges[segment.edge]
              .charges[phase][choice.sites[phase][g] * chain_.num_sites +
                              choice.sites[phase][g + 1]],
          totals);
    }
  }
}

// What `from` has for segments first .. last - 1.
void Relaxation::copy_run(uint32_t first, uint32_t last, const Choice& from,
                          Choice& to) const {
  const uint32_t begin = chain_.segments[first].item_begin;
  const uint32_t end = chain_.segments[last - 1].item_end;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    std::copy(from.sites[phase].begin() + first,
              from.sites[phase].begin() + last,
              to.sites[phase].begin() + first);
    std::copy(from.options[phase].begin() + begin,
              from.options[phase].begin() + end,
              to.options[phase].begin() + begin);
  }
}

// Puts segments first .. last - 1 at `state`; false if that does not fit or is
// no better.
//
// totals  of `choice`; peaks may be too large
// Requires  walked_ is `choice`, and leaves it so
bool Relaxation::move_run(uint32_t first, uint32_t last, uint32_t state,
                          Choice& choice, Totals& totals) {
  Totals moved = totals;
  uncharge_run(first, last, choice, moved);
  const double before = objective_of(chain_, totals);
  Totals next;
  bool better = true;
  for (uint32_t g = first; better && g < last; ++g) {
    better = place_segment(g, state, moved, next);
    std::swap(moved, next);
  }
  if (better) {
    if (last < chain_.segments.size()) charge_edge(last - 1, moved);
    better = objective_of(chain_, moved) < before - 1e-9 * before &&
             is_feasible(chain_, moved);
  }
  if (!better) {
    copy_run(first, last, choice, walked_);
    return false;
  }
  copy_run(first, last, walked_, choice);
  totals = std::move(moved);
  return true;
}

bool Relaxation::improve(Choice& choice) {
  std::fill(reserve_.begin(), reserve_.end(), 0.0);
  const auto num_segments = static_cast<uint32_t>(chain_.segments.size());
  Totals totals;
  walked_ = choice;
  bool improved = false;
  for (const uint32_t length : kRuns) {
    if (length > num_segments) break;
    // Anew: what moves leave of peaks and rounding goes.
    totals = add_up(chain_, choice);
    for (uint32_t g = 0; g + length <= num_segments; ++g) {
      for (uint32_t s = 0; s < num_states_; ++s) {
        if (move_run(g, g + length, s, choice, totals)) improved = true;
      }
    }
  }
  return improved;
}

bool Relaxation::walk() {
  paths_.find_ways();
  walked_ = choice_;
  const size_t num_rows = chain_.rows.size();
  Totals totals{0.0, std::vector<double>(num_rows),
                std::vector<double>(num_rows)};
  Totals next = totals;
  uint32_t used = 0;  // of the sites that must be
  std::vector<double> ways(num_states_);
  std::vector<uint32_t> order(num_states_);
  for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
    for (uint32_t s = 0; s < num_states_; ++s) {
      ways[s] = paths_.onwards(g, s, used);
      if (g == 0) continue;
      const uint32_t before =
          states_.with(walked_.sites[0][g - 1], walked_.sites[1][g - 1]);
      ways[s] += paths_.edge_price(chain_.segments[g - 1].edge, before, s);
    }
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(
        order.begin(), order.end(),
        [&ways](uint32_t a, uint32_t b) { return ways[a] < ways[b]; });
    bool placed = false;
    for (const uint32_t s : order) {
      if (ways[s] == kInfinity) break;
      placed = place_segment(g, s, totals, next);
      if (!placed) continue;
      used |= paths_.used_by(s);
      break;
    }
    if (!placed) return false;
    std::swap(totals, next);
  }
  return true;
}

}  // namespace tessera::planner
