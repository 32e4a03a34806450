// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/repair.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "framework/planner/solver/incumbent.hpp"

namespace tessera::planner {
namespace {

// Rounds of changes; each but the last takes less of what is broken.
constexpr uint32_t kMaxRounds = 8;

// A round that leaves more than that is the last.
constexpr double kLeastProgress = 0.8;

struct Change {
  uint32_t item;
  uint32_t prefill;
  uint32_t decode;
  double loss;  // at the prices, to what it takes less of broken limits
};

double excess_at(const Chain& chain, const Totals& totals, size_t row) {
  return excess_of(chain.rows[row], totals.sums[row] + totals.peaks[row]);
}

// All limits together, each in parts of its own.
double excess_of_all(const Chain& chain, const Totals& totals) {
  double sum = 0.0;
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    const double unit = std::max(chain.rows[r].capacity, 1e-30);
    sum += excess_at(chain, totals, r) / unit;
  }
  return sum;
}

std::vector<Change> find_changes(const Chain& chain,
                                 const Alternatives& alternatives,
                                 const Ledger& ledger,
                                 std::span<const double> prices) {
  const Totals& now = ledger.totals();
  std::vector<double> excess(chain.rows.size());
  for (size_t r = 0; r < excess.size(); ++r) {
    excess[r] = excess_at(chain, now, r);
  }
  std::vector<Change> changes;
  for (uint32_t i = 0; i < chain.items.size(); ++i) {
    alternatives.visit(i, ledger.choice(), [&](uint32_t a, uint32_t b) {
      const Totals& then = ledger.with(i, a, b);
      double relief = 0.0;
      for (size_t r = 0; r < excess.size(); ++r) {
        if (excess[r] == 0.0) continue;
        relief += std::min((now.sums[r] - then.sums[r]) / excess[r], 1.0);
      }
      if (relief <= 0.0) return;
      const double loss = priced(then, prices) - priced(now, prices);
      changes.push_back({i, a, b, std::max(loss, 0.0) / relief});
    });
  }
  std::stable_sort(
      changes.begin(), changes.end(),
      [](const Change& x, const Change& y) { return x.loss < y.loss; });
  return changes;
}

}  // namespace

bool repair(const Chain& chain, const Alternatives& alternatives,
            std::span<const double> prices, Choice& choice, uint64_t& work) {
  Ledger ledger(chain, std::move(choice));
  double excess = excess_of_all(chain, ledger.totals());
  for (uint32_t round = 0; round < kMaxRounds && excess > 0.0; ++round) {
    const double before = excess;
    std::vector<bool> done(chain.items.size());
    for (const Change& change :
         find_changes(chain, alternatives, ledger, prices)) {
      if (done[change.item]) continue;
      const double then = excess_of_all(
          chain, ledger.with(change.item, change.prefill, change.decode));
      if (then >= excess) continue;
      ledger.set(change.item, change.prefill, change.decode);
      done[change.item] = true;
      excess = then;
      if (excess == 0.0) break;
    }
    ledger.recount();
    excess = excess_of_all(chain, ledger.totals());
    if (excess > kLeastProgress * before) break;
  }
  choice = ledger.choice();
  work += ledger.work();
  return is_feasible(chain, ledger.totals());
}

}  // namespace tessera::planner
