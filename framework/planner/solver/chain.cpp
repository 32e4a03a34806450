// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/chain.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>

namespace tessera::planner {
namespace {

template <typename Visit>
void for_charges(const Chain& chain, uint32_t item, uint32_t prefill,
                 uint32_t decode, const Visit& visit) {
  const Option& a = chain.options[prefill];
  const Option& b = chain.options[decode];
  const uint32_t base = chain.items[item].resident_begin;
  visit(a.charge);
  visit(b.charge);
  if (a.resident != kNone) visit(chain.residents[base + a.resident]);
  if (b.resident != kNone && b.resident != a.resident) {
    visit(chain.residents[base + b.resident]);
  }
}

}  // namespace

void add_charge(const Chain& chain, const Charge& charge, Totals& totals) {
  totals.cost += charge.cost;
  for (uint32_t i = 0; i < charge.sums.count; ++i) {
    const Use& use = chain.uses[charge.sums.begin + i];
    totals.sums[use.row] += use.amount;
  }
  for (uint32_t i = 0; i < charge.peaks.count; ++i) {
    const Use& use = chain.uses[charge.peaks.begin + i];
    totals.peaks[use.row] = std::max(totals.peaks[use.row], use.amount);
  }
}

void remove_charge(const Chain& chain, const Charge& charge, Totals& totals) {
  totals.cost -= charge.cost;
  for (uint32_t i = 0; i < charge.sums.count; ++i) {
    const Use& use = chain.uses[charge.sums.begin + i];
    totals.sums[use.row] -= use.amount;
  }
}

void charge_item(const Chain& chain, uint32_t item, uint32_t prefill,
                 uint32_t decode, Totals& totals) {
  for_charges(chain, item, prefill, decode,
              [&](const Charge& charge) { add_charge(chain, charge, totals); });
}

void uncharge_item(const Chain& chain, uint32_t item, uint32_t prefill,
                   uint32_t decode, Totals& totals) {
  for_charges(chain, item, prefill, decode, [&](const Charge& charge) {
    remove_charge(chain, charge, totals);
  });
}

UseRange Chain::add_uses(const std::vector<Use>& list) {
  const UseRange range{static_cast<uint32_t>(uses.size()),
                       static_cast<uint32_t>(list.size())};
  uses.insert(uses.end(), list.begin(), list.end());
  return range;
}

Totals add_up(const Chain& chain, const Choice& choice) {
  Totals totals;
  totals.sums.assign(chain.rows.size(), 0.0);
  totals.peaks.assign(chain.rows.size(), 0.0);
  for (uint32_t g = 0; g < chain.segments.size(); ++g) {
    const Segment& segment = chain.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      uint32_t held = kNone;
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        const Option& option = chain.options[choice.options[phase][i]];
        assert(option.site == choice.sites[phase][g]);
        add_charge(chain, option.charge, totals);
        if (option.resident == kNone || option.resident == held) continue;
        held = option.resident;
        add_charge(chain, chain.residents[chain.items[i].resident_begin + held],
                   totals);
      }
    }
    if (segment.edge == kNone) continue;
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const uint32_t at =
          choice.sites[phase][g] * chain.num_sites + choice.sites[phase][g + 1];
      add_charge(chain, chain.edges[segment.edge].charges[phase][at], totals);
    }
  }
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    if (chain.returns[phase].empty()) continue;
    const auto& sites = choice.sites[phase];
    const uint32_t at = sites.back() * chain.num_sites + sites.front();
    add_charge(chain, chain.returns[phase][at], totals);
  }
  return totals;
}

bool no_worse(const Totals& a, const Totals& b) {
  const auto no_more = [](const std::vector<double>& x,
                          const std::vector<double>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), std::less_equal<>());
  };
  return a.cost <= b.cost && no_more(a.sums, b.sums) &&
         no_more(a.peaks, b.peaks);
}

double priced(const Totals& totals, std::span<const double> prices) {
  double sum = totals.cost;
  for (size_t r = 0; r < prices.size(); ++r) sum += prices[r] * totals.sums[r];
  return sum;
}

double objective_of(const Chain& chain, const Totals& totals) {
  double largest_load = 0.0;
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    if (chain.rows[r].kind != RowKind::kLoad) continue;
    largest_load = std::max(largest_load, totals.sums[r]);
  }
  return totals.cost + largest_load;
}

double excess_of(const Row& row, double total) {
  if (row.kind == RowKind::kLoad) return 0.0;
  const double excess = total - row.capacity;
  return excess > 1e-12 * std::fabs(row.capacity) ? excess : 0.0;
}

bool is_feasible(const Chain& chain, const Totals& totals) {
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    if (excess_of(chain.rows[r], totals.sums[r] + totals.peaks[r]) > 0.0) {
      return false;
    }
  }
  return true;
}

}  // namespace tessera::planner
