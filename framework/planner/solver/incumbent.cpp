// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/incumbent.hpp"

#include <algorithm>
#include <utility>

namespace tessera::planner {
namespace {

// Rounds of changes; each but the last improves the objective.
constexpr uint32_t kMaxRounds = 12;

// Changing an item costs about as much as pricing so many ways, and so does
// adding up all of it.
constexpr uint64_t kPricesPerChange = 8;

struct Change {
  uint32_t item;
  uint32_t prefill;
  uint32_t decode;
  double price;  // by which the priced cost grows
};

// What one item costs by itself.
double cost_of_item(const Chain& chain, uint32_t item, uint32_t prefill,
                    uint32_t decode) {
  const Option& a = chain.options[prefill];
  const Option& b = chain.options[decode];
  const uint32_t base = chain.items[item].resident_begin;
  double cost = a.charge.cost + b.charge.cost;
  if (a.resident != kNone) cost += chain.residents[base + a.resident].cost;
  if (b.resident != kNone && b.resident != a.resident) {
    cost += chain.residents[base + b.resident].cost;
  }
  return cost;
}

// All changes that keep the limits and lower the objective by themselves, best
// first.
std::vector<Change> find_changes(const Chain& chain,
                                 const Alternatives& alternatives,
                                 const Ledger& ledger,
                                 std::span<const double> prices) {
  std::vector<Change> changes;
  const double objective = objective_of(chain, ledger.totals());
  const bool has_loads =
      std::any_of(chain.rows.begin(), chain.rows.end(),
                  [](const Row& row) { return row.kind == RowKind::kLoad; });
  const double price = priced(ledger.totals(), prices);
  for (uint32_t i = 0; i < chain.items.size(); ++i) {
    const double cost = cost_of_item(chain, i, ledger.choice().options[0][i],
                                     ledger.choice().options[1][i]);
    alternatives.visit(i, ledger.choice(), [&](uint32_t a, uint32_t b) {
      // Without loads the objective is the sum of costs.
      if (!has_loads && cost_of_item(chain, i, a, b) >= cost) return;
      const Totals& totals = ledger.with(i, a, b);
      if (objective_of(chain, totals) >= objective ||
          !is_feasible(chain, totals)) {
        return;
      }
      changes.push_back({i, a, b, priced(totals, prices) - price});
    });
  }
  std::stable_sort(
      changes.begin(), changes.end(),
      [](const Change& x, const Change& y) { return x.price < y.price; });
  return changes;
}

// Totals of the first segments, or of the last, by how many they are.
std::vector<Totals> running_totals(const Chain& chain, const Choice& choice,
                                   bool from_end) {
  const auto num_segments = static_cast<uint32_t>(chain.segments.size());
  Totals sum;
  sum.sums.assign(chain.rows.size(), 0.0);
  sum.peaks.assign(chain.rows.size(), 0.0);
  std::vector<Totals> running{sum};
  for (uint32_t n = 0; n < num_segments; ++n) {
    const uint32_t g = from_end ? num_segments - 1 - n : n;
    const Segment& segment = chain.segments[g];
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      uint32_t held = kNone;
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        const Option& option = chain.options[choice.options[phase][i]];
        add_charge(chain, option.charge, sum);
        if (option.resident == kNone || option.resident == held) continue;
        held = option.resident;
        add_charge(chain, chain.residents[chain.items[i].resident_begin + held],
                   sum);
      }
    }
    // The edge inside the part; the one at the cut comes with the cut.
    const uint32_t before = from_end ? g : g - 1;
    if (n > 0) {
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        const uint32_t at = choice.sites[phase][before] * chain.num_sites +
                            choice.sites[phase][before + 1];
        add_charge(chain,
                   chain.edges[chain.segments[before].edge].charges[phase][at],
                   sum);
      }
    }
    running.push_back(sum);
  }
  return running;
}

Choice spliced(const Chain& chain, const Choice& a, const Choice& b,
               uint32_t cut) {
  Choice choice = b;
  for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
    std::copy_n(a.sites[phase].begin(), cut, choice.sites[phase].begin());
    std::copy_n(a.options[phase].begin(), chain.segments[cut - 1].item_end,
                choice.options[phase].begin());
  }
  return choice;
}

}  // namespace

Ledger::Ledger(const Chain& chain, Choice choice)
    : chain_(chain),
      choice_(std::move(choice)),
      totals_(add_up(chain, choice_)),
      work_(kPricesPerChange * chain.items.size()) {}

const Totals& Ledger::with(uint32_t item, uint32_t prefill,
                           uint32_t decode) const {
  if (item != item_without_) {
    without_ = totals_;
    uncharge_item(chain_, item, choice_.options[0][item],
                  choice_.options[1][item], without_);
    item_without_ = item;
  }
  changed_ = without_;
  charge_item(chain_, item, prefill, decode, changed_);
  work_ += kPricesPerChange;
  return changed_;
}

void Ledger::set(uint32_t item, uint32_t prefill, uint32_t decode) {
  with(item, prefill, decode);
  std::swap(totals_, changed_);
  item_without_ = kNone;
  choice_.options[0][item] = prefill;
  choice_.options[1][item] = decode;
}

void Ledger::recount() {
  totals_ = add_up(chain_, choice_);
  item_without_ = kNone;
  work_ += kPricesPerChange * chain_.items.size();
}

bool Incumbent::offer(const Choice& choice) {
  return offer(choice, add_up(chain_, choice));
}

bool Incumbent::offer(const Choice& choice, const Totals& totals) {
  const double objective = objective_of(chain_, totals);
  if (objective >= objective_ || !is_feasible(chain_, totals)) return false;
  if (!exists() && on_first_) on_first_(objective);
  objective_ = objective;
  choice_ = choice;
  return true;
}

double Incumbent::polish(Choice choice, std::span<const double> prices) {
  Ledger ledger(chain_, std::move(choice));
  for (uint32_t round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    std::vector<bool> done(chain_.items.size());
    for (const Change& change :
         find_changes(chain_, alternatives_, ledger, prices)) {
      if (done[change.item]) continue;
      const Totals& totals =
          ledger.with(change.item, change.prefill, change.decode);
      if (!is_feasible(chain_, totals) ||
          objective_of(chain_, totals) >=
              objective_of(chain_, ledger.totals())) {
        continue;
      }
      ledger.set(change.item, change.prefill, change.decode);
      done[change.item] = true;
      changed = true;
    }
    if (!changed) break;
    ledger.recount();
  }
  ledger.recount();
  offer(ledger.choice(), ledger.totals());
  work_ += ledger.work();
  return objective_of(chain_, ledger.totals());
}

bool Incumbent::splice(const Choice& a, const Choice& b,
                       std::span<const double> prices) {
  const std::vector<Totals> heads = running_totals(chain_, a, false);
  const std::vector<Totals> tails = running_totals(chain_, b, true);
  work_ += 2 * kPricesPerChange * chain_.items.size();
  const auto num_segments = static_cast<uint32_t>(chain_.segments.size());
  uint32_t best_cut = 0;
  double least = kInfinity;
  for (uint32_t cut = 1; cut < num_segments; ++cut) {
    Totals totals = heads[cut];
    const Totals& tail = tails[num_segments - cut];
    totals.cost += tail.cost;
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      totals.sums[r] += tail.sums[r];
      totals.peaks[r] = std::max(totals.peaks[r], tail.peaks[r]);
    }
    const Edge& edge = chain_.edges[chain_.segments[cut - 1].edge];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      const uint32_t at =
          a.sites[phase][cut - 1] * chain_.num_sites + b.sites[phase][cut];
      add_charge(chain_, edge.charges[phase][at], totals);
    }
    const double objective = objective_of(chain_, totals);
    if (objective < least && is_feasible(chain_, totals)) {
      least = objective;
      best_cut = cut;
    }
  }
  if (best_cut == 0) return false;
  polish(spliced(chain_, a, b, best_cut), prices);
  return true;
}

}  // namespace tessera::planner
