// SPDX-License-Identifier: Apache-2.0
//
// What a branch leaves open, and which decision comes next.

#include <algorithm>
#include <cmath>

#include "framework/planner/solver/search.hpp"

namespace tessera::planner {
namespace {

// Steps in each branch that is weighed.
constexpr uint32_t kProbeSteps = 6;

}  // namespace

// Some segment must be at that site, or none may.
void Search::use_site(uint32_t site, bool keep,
                      Restriction& restriction) const {
  if (keep) {
    restriction.site_needed[site] = 1;
    return;
  }
  for (auto& out : restriction.site_out) {
    for (size_t s = site; s < out.size(); s += chain_.num_sites) out[s] = 1;
  }
}

void Search::apply(const Decision& decision, Restriction& restriction) const {
  switch (decision.kind) {
    case Decision::Kind::kOption: {
      if (!decision.keep) {
        restriction.option_out[decision.index] = 1;
        return;
      }
      for (const Item& item : chain_.items) {
        const uint32_t phase = decision.phase;
        if (decision.index < item.option_begin[phase] ||
            decision.index >= item.option_end[phase]) {
          continue;
        }
        for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
             ++o) {
          if (o != decision.index) restriction.option_out[o] = 1;
        }
      }
      return;
    }
    case Decision::Kind::kSite: {
      auto& out = restriction.site_out[decision.phase];
      if (!decision.keep) {
        out[decision.index] = 1;
        return;
      }
      const uint32_t first =
          decision.index / chain_.num_sites * chain_.num_sites;
      for (uint32_t s = first; s < first + chain_.num_sites; ++s) {
        if (s != decision.index) out[s] = 1;
      }
      return;
    }
    case Decision::Kind::kPeak: {
      if (decision.keep) {
        double& floor = restriction.peak_floor[decision.index];
        floor = std::max(floor, decision.level);
        return;
      }
      for (size_t o = 0; o < chain_.options.size(); ++o) {
        const double peak = peaks_.of(static_cast<uint32_t>(o), decision.index);
        if (peak >= decision.level) restriction.option_out[o] = 1;
      }
      return;
    }
    case Decision::Kind::kUse:
      use_site(decision.index, decision.keep, restriction);
      return;
    case Decision::Kind::kCount: {
      CountLimit limit = decision.count;
      const auto level = static_cast<uint32_t>(decision.level);
      limit.level = decision.keep ? level : level - 1;
      limit.at_least = decision.keep;
      restriction.counts.push_back(limit);
      return;
    }
  }
}

// An item whose options all have a peak forces the least of them.
void Search::raise_floors(Restriction& restriction) const {
  if (peaks_.empty()) return;
  std::vector<double> least(chain_.rows.size());
  std::vector<uint32_t> num_with(chain_.rows.size());
  for (const Item& item : chain_.items) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      std::fill(least.begin(), least.end(), kInfinity);
      std::fill(num_with.begin(), num_with.end(), 0);
      uint32_t num_open = 0;
      for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
           ++o) {
        if (restriction.option_out[o] != 0) continue;
        ++num_open;
        for (const Use& use : peaks_.of(o)) {
          ++num_with[use.row];
          least[use.row] = std::min(least[use.row], use.amount);
        }
      }
      for (size_t r = 0; r < least.size(); ++r) {
        if (num_open == 0 || num_with[r] < num_open) continue;
        restriction.peak_floor[r] =
            std::max(restriction.peak_floor[r], least[r]);
      }
    }
  }
}

Restriction Search::restriction_of(const Node& node) const {
  Restriction restriction = root_restriction_;
  std::vector<const Node*> path;  // the last decision first
  for (const Node* at = &node; at->parent; at = at->parent.get()) {
    path.push_back(at);
  }
  std::reverse(path.begin(), path.end());
  for (const Node* at : path) {
    apply(at->decision, restriction);
    for (const uint32_t o : at->options_out) restriction.option_out[o] = 1;
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      for (const uint32_t s : at->sites_out[phase]) {
        restriction.site_out[phase][s] = 1;
      }
    }
  }
  raise_floors(restriction);
  return restriction;
}

// A row that the last choice breaks by its peaks alone.
bool Search::choose_broken_peak(const Restriction& restriction,
                                Decision* out) const {
  const Choice& choice = relaxation_.choice();
  const Totals totals = add_up(chain_, choice);
  for (uint32_t r = 0; r < chain_.rows.size(); ++r) {
    double level = 0.0;
    for (const auto& options : choice.options) {
      for (const uint32_t o : options) level = std::max(level, peaks_.of(o, r));
    }
    if (level <= restriction.peak_floor[r]) continue;
    if (excess_of(chain_.rows[r], totals.sums[r] + totals.peaks[r]) == 0.0) {
      continue;
    }
    *out = {Decision::Kind::kPeak, 0, r, level, false};
    return true;
  }
  return false;
}

// The bound of the branch after a few steps.
double Search::probe(const Node& node, const Restriction& restriction,
                     const Decision& decision) {
  Restriction branch = restriction;
  apply(decision, branch);
  raise_floors(branch);
  relaxation_.open(branch);
  ascent_.restart();
  const auto prices = row_prices(node);
  ascent_.set_prices({prices.begin(), prices.end()});
  double best = node.bound;
  for (uint32_t step = 0; step < kProbeSteps; ++step) {
    const double bound = relaxation_.solve(ascent_.prices());
    ++steps_;
    best = std::max(best, bound);
    if (is_closed(best)) return cutoff();
    const Totals totals = add_up(chain_, relaxation_.choice());
    incumbent_.offer(relaxation_.choice(), totals);
    ascent_.step(bound, totals.sums, branch.peak_floor, target_above(bound));
  }
  return best;
}

// The candidate whose branches raise the bound most, both of them.
//
// Source  full strong branching with the product score: Achterberg, Koch and
//         Martin, Operations Research Letters 33(1), 2005
Decision Search::strongest(const Node& node, const Restriction& restriction,
                           const std::vector<Decision>& candidates) {
  Decision best = candidates.front();
  double most = -1.0;
  const double least_gain = 1e-6 * std::fabs(node.bound);
  for (Decision decision : candidates) {
    double score = 1.0;
    for (const bool keep : {true, false}) {
      decision.keep = keep;
      const double gain = probe(node, restriction, decision) - node.bound;
      score *= std::max(gain, least_gain);
    }
    if (score <= most) continue;
    most = score;
    best = decision;
  }
  return best;
}

// False if nothing is open.
bool Search::choose_decision(const Node& node, const Restriction& restriction,
                             Decision* out) {
  std::vector<Decision> candidates;
  add_doubted_options(chain_, restriction, counts_, &candidates);
  add_peaks(peaks_, restriction, counts_, node.prices, &candidates);
  relaxation_.open(restriction);
  relaxation_.solve(node.prices);
  ++steps_;
  relaxation_.find_ways();
  add_movable_segments(chain_, restriction, relaxation_, cutoff(), &candidates);
  if (!candidates.empty()) {
    *out = strongest(node, restriction, candidates);
    return true;
  }
  return choose_broken_peak(restriction, out) ||
         find_open(chain_, restriction, relaxation_.choice(), out);
}

// Each limit by itself: what would break it even if all else used least.
bool Search::keep_limits(Restriction& restriction, uint32_t* out_excluded) {
  std::vector<double> prices(chain_.rows.size(), 0.0);
  for (uint32_t r = 0; r < chain_.rows.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind != RowKind::kLimit || row.capacity == kInfinity) continue;
    prices[r] = 1.0;
    relaxation_.open(restriction);
    const double rounding = kTolerance * std::fabs(row.capacity);
    if (relaxation_.solve_limits(prices) > rounding) return false;
    *out_excluded += relaxation_.exclude_above(rounding, restriction);
    prices[r] = 0.0;
  }
  return true;
}

bool Search::propagate(const Node& node, Restriction& restriction) {
  // Small chains are worth more care: there it closes most branches.
  const uint32_t rounds = is_small() ? 4 : 1;
  for (uint32_t round = 0; round < rounds; ++round) {
    uint32_t excluded = 0;
    if (!keep_limits(restriction, &excluded)) return false;
    raise_floors(restriction);
    if (!node.prices.empty()) {
      relaxation_.open(restriction);
      if (is_closed(relaxation_.solve(node.prices))) return false;
      excluded += relaxation_.exclude_above(cutoff(), restriction);
    }
    if (excluded == 0) break;
  }
  return true;
}

void Search::remember(const Restriction& before, const Restriction& after,
                      Node& node) const {
  for (uint32_t o = 0; o < after.option_out.size(); ++o) {
    if (after.option_out[o] != before.option_out[o]) {
      node.options_out.push_back(o);
    }
  }
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t s = 0; s < after.site_out[phase].size(); ++s) {
      if (after.site_out[phase][s] != before.site_out[phase][s]) {
        node.sites_out[phase].push_back(s);
      }
    }
  }
}

}  // namespace tessera::planner
