// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/ring.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace tessera::planner {
namespace {

using FirstSites = std::array<uint32_t, kNumPhases>;

// Both of them.
Charge add_up(const Charge& a, const Charge& b, Chain& chain) {
  const auto join = [&chain](const UseRange& x, const UseRange& y) {
    std::vector<Use> uses;
    for (const UseRange& range : {x, y}) {
      for (uint32_t i = 0; i < range.count; ++i) {
        uses.push_back(chain.uses[range.begin + i]);
      }
    }
    return chain.add_uses(uses);
  };
  return {a.cost + b.cost, join(a.sums, b.sums), join(a.peaks, b.peaks)};
}

// A copy of its edge for a segment alone.
Edge& own_edge(Chain& chain, size_t segment) {
  chain.edges.push_back(chain.edges[chain.segments[segment].edge]);
  chain.segments[segment].edge = static_cast<uint32_t>(chain.edges.size() - 1);
  return chain.edges.back();
}

// Where the first segment may be, phase by phase.
std::vector<FirstSites> ways_to_begin(const Chain& chain) {
  const Segment& first = chain.segments.front();
  std::vector<FirstSites> ways;
  for (uint32_t a = 0; a < chain.num_sites; ++a) {
    for (uint32_t b = 0; b < chain.num_sites; ++b) {
      if (first.tied && a != b) continue;
      ways.push_back({a, b});
    }
  }
  return ways;
}

// Whether every item of the first segment has an option there.
bool can_begin(const Chain& chain, const FirstSites& sites) {
  const Segment& first = chain.segments.front();
  for (uint32_t i = first.item_begin; i < first.item_end; ++i) {
    const Item& item = chain.items[i];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const auto begin = chain.options.begin();
      const bool has_option = std::any_of(
          begin + item.option_begin[phase], begin + item.option_end[phase],
          [&](const Option& option) { return option.site == sites[phase]; });
      if (!has_option) return false;
    }
  }
  return true;
}

// The better plan, and what both prove.
void take_part(Solution part, Solution& whole) {
  const uint32_t steps = whole.steps + part.steps;
  const uint32_t nodes = whole.nodes + part.nodes;
  const double bound =
      std::min(whole.bound, part.infeasible ? kInfinity : part.bound);
  const bool infeasible = whole.infeasible && part.infeasible;
  const bool is_better =
      part.feasible && (!whole.feasible || part.objective < whole.objective);
  if (is_better) whole = std::move(part);
  whole.steps = steps;
  whole.nodes = nodes;
  whole.bound = bound;
  whole.infeasible = infeasible;
}

}  // namespace

bool is_ring(const Chain& chain) {
  return std::any_of(chain.returns.begin(), chain.returns.end(),
                     [](const auto& charges) { return !charges.empty(); });
}

Chain without_returns(const Chain& chain) {
  Chain open = chain;
  open.returns = {};
  return open;
}

Chain opened_at(const Chain& chain, const FirstSites& first) {
  Chain open = without_returns(chain);
  const uint32_t num_sites = chain.num_sites;
  Edge& into_last = own_edge(open, open.segments.size() - 2);
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    if (chain.returns[phase].empty()) continue;
    for (uint32_t at = 0; at < num_sites * num_sites; ++at) {
      const uint32_t last = at % num_sites;
      Charge& charge = into_last.charges[phase][at];
      charge = add_up(
          charge, chain.returns[phase][last * num_sites + first[phase]], open);
    }
  }
  Edge& from_first = own_edge(open, 0);
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    for (uint32_t at = 0; at < num_sites * num_sites; ++at) {
      if (at / num_sites == first[phase]) continue;
      from_first.charges[phase][at] = {kInfinity, {}, {}};
    }
  }
  return open;
}

Solution solve_ring(const Chain& chain,
                    const std::function<Solution(const Chain&)>& solve) {
  Solution free = solve(without_returns(chain));
  if (free.infeasible || chain.segments.size() < 2) return free;
  if (free.feasible) {
    const Totals totals = add_up(chain, free.choice);
    if (is_feasible(chain, totals) &&
        objective_of(chain, totals) <= free.objective) {
      return free;
    }
  }
  Solution whole;
  whole.infeasible = true;
  whole.bound = kInfinity;
  whole.steps = free.steps;
  whole.nodes = free.nodes;
  for (const FirstSites& first : ways_to_begin(chain)) {
    if (!can_begin(chain, first)) continue;
    take_part(solve(opened_at(chain, first)), whole);
  }
  if (!whole.infeasible) whole.bound = std::max(whole.bound, free.bound);
  return whole;
}

}  // namespace tessera::planner
