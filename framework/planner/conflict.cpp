// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/conflict.hpp"

#include <fmt/format.h>

#include <vector>

#include "framework/planner/amount_text.hpp"

namespace tessera::planner {
namespace {

// `chain` with what row `row` adds up to as its objective.
Chain with_objective(Chain chain, uint32_t row) {
  const auto change = [&](Charge& charge) {
    if (charge.cost != kInfinity) charge.cost = 0.0;
    for (uint32_t u = charge.sums.begin;
         u < charge.sums.begin + charge.sums.count; ++u) {
      if (chain.uses[u].row == row) charge.cost += chain.uses[u].amount;
    }
  };
  for (Option& option : chain.options) change(option.charge);
  for (Charge& resident : chain.residents) change(resident);
  for (Edge& edge : chain.edges) {
    for (auto& charges : edge.charges) {
      for (Charge& charge : charges) change(charge);
    }
  }
  chain.rows[row].capacity = kInfinity;
  for (Row& entry : chain.rows) {
    if (entry.kind != RowKind::kLoad) continue;
    entry.kind = RowKind::kLimit;
    entry.capacity = kInfinity;
  }
  return chain;
}

Chain with_limits(const Chain& chain, const std::vector<bool>& kept) {
  Chain result = chain;
  for (size_t r = 0; r < kept.size(); ++r) {
    if (!kept[r]) result.rows[r].capacity = kInfinity;
  }
  return result;
}

// The least that row `row` can be while the other kept limits hold; a proven
// bound.
double least_use(const Chain& chain, std::vector<bool> kept, uint32_t row,
                 const SolveLimits& limits) {
  kept[row] = true;
  return solve_chain(with_objective(with_limits(chain, kept), row), limits)
      .bound;
}

// The limits that cannot do without each other: each is left out if the rest
// still clash.
std::vector<bool> find_conflict(const Chain& chain, const SolveLimits& limits) {
  std::vector<bool> kept(chain.rows.size());
  for (size_t r = 0; r < kept.size(); ++r) {
    kept[r] = chain.rows[r].kind == RowKind::kLimit &&
              chain.rows[r].capacity < kInfinity;
  }
  for (size_t r = 0; r < kept.size(); ++r) {
    if (!kept[r]) continue;
    kept[r] = false;
    if (!solve_chain(with_limits(chain, kept), limits).infeasible) {
      kept[r] = true;
    }
  }
  return kept;
}

}  // namespace

std::string explain_conflict(const BuiltChain& built,
                             const SolveLimits& limits) {
  const Chain& chain = built.chain;
  const std::vector<bool> conflict = find_conflict(chain, limits);
  std::vector<uint32_t> rows;
  for (uint32_t r = 0; r < conflict.size(); ++r) {
    if (conflict[r]) rows.push_back(r);
  }
  std::string text = "no plan keeps the limits: ";
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint32_t r = rows[i];
    const double capacity = chain.rows[r].capacity;
    const double least = least_use(chain, conflict, r, limits);
    const RowMeaning meaning = built.meanings[r];
    if (i > 0) text += "; or ";
    text +=
        fmt::format("{} needs at least {}{}, is limited to {}: {} too little",
                    chain.rows[r].name, amount_text(meaning, least),
                    rows.size() > 1 ? " while the others hold" : "",
                    amount_text(meaning, capacity),
                    amount_text(meaning, std::max(0.0, least - capacity)));
  }
  return text;
}

}  // namespace tessera::planner
