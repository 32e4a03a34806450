// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/conflict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "framework/planner/amount_text.hpp"

namespace tessera::planner {
namespace {

// What a limit would have to be is told to that share.
constexpr double kNear = 0.005;

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
  for (auto& charges : chain.returns) {
    for (Charge& charge : charges) change(charge);
  }
  chain.rows[row].capacity = kInfinity;
  for (Row& entry : chain.rows) {
    if (entry.kind != RowKind::kLoad) continue;
    entry.kind = RowKind::kLimit;
    entry.capacity = kInfinity;
  }
  return chain;
}

Chain with_limits(Chain chain, const std::vector<bool>& kept) {
  for (size_t r = 0; r < kept.size(); ++r) {
    if (!kept[r]) chain.rows[r].capacity = kInfinity;
  }
  return chain;
}

// Any plan shows that there are some.
Solution decide(const Chain& chain, SolveLimits limits) {
  limits.gap = 1.0;
  return solve_chain(chain, limits);
}

double use_of(const Chain& chain, const Choice& choice, uint32_t row) {
  const Totals totals = add_up(chain, choice);
  return totals.sums[row] + totals.peaks[row];
}

// The least that row `row` can be while the other limits hold, or a little
// less: more than its limit, which is known not to do.  Prices count sums, so
// what is left between their bound and a plan is halved by trying.
double least_use(Chain chain, uint32_t row, const SolveLimits& limits) {
  double least = chain.rows[row].capacity;
  const Solution by_sums = solve_chain(with_objective(chain, row), limits);
  if (!by_sums.feasible) return least;
  least = std::max(least, by_sums.bound);
  double enough = use_of(chain, by_sums.choice, row);
  while (enough - least > kNear * enough) {
    chain.rows[row].capacity = (least + enough) / 2.0;
    const Solution found = decide(chain, limits);
    if (found.feasible) {
      enough = use_of(chain, found.choice, row);
    } else if (found.infeasible) {
      least = chain.rows[row].capacity;
    } else {
      break;
    }
  }
  return least;
}

// Each limit is left out if the rest still clash.
std::vector<bool> clashing_rows(const Chain& chain, const SolveLimits& limits) {
  std::vector<bool> kept(chain.rows.size());
  for (size_t r = 0; r < kept.size(); ++r) {
    kept[r] = chain.rows[r].kind == RowKind::kLimit &&
              chain.rows[r].capacity < kInfinity;
  }
  for (size_t r = 0; r < kept.size(); ++r) {
    if (!kept[r]) continue;
    kept[r] = false;
    kept[r] = !decide(with_limits(chain, kept), limits).infeasible;
  }
  return kept;
}

Result<BuiltChain> build_with_rules(Problem problem,
                                    const std::vector<uint32_t>& kept) {
  std::vector<Rule> rules;
  rules.reserve(kept.size());
  for (const uint32_t rule : kept) rules.push_back(problem.rules[rule]);
  problem.rules = std::move(rules);
  return build_chain(problem);
}

// Each rule likewise, under the limits that are left.  Rows are the same
// whatever the rules.
Result<std::vector<uint32_t>> clashing_rules(const Problem& problem,
                                             const std::vector<bool>& rows,
                                             const SolveLimits& limits) {
  std::vector<uint32_t> kept(problem.rules.size());
  std::iota(kept.begin(), kept.end(), 0U);
  for (uint32_t rule = 0; rule < problem.rules.size(); ++rule) {
    std::vector<uint32_t> fewer = kept;
    std::erase(fewer, rule);
    TSR_ASSIGN_OR_RETURN(const BuiltChain built,
                         build_with_rules(problem, fewer));
    if (decide(with_limits(built.chain, rows), limits).infeasible) {
      kept = std::move(fewer);
    }
  }
  return kept;
}

std::string rule_text(const Rule& rule) {
  return fmt::format("{} {}={}{}{}", rule.forbids ? "--forbid" : "--pin",
                     rule.match, rule.device, rule.scheme.empty() ? "" : "/",
                     rule.scheme);
}

std::string limit_text(const BuiltChain& built, const Conflict::Limit& limit,
                       bool has_others) {
  const Row& row = built.chain.rows[limit.row];
  const RowMeaning meaning = built.meanings[limit.row];
  return fmt::format("{} needs {} {}{}, is limited to {}: {} too little",
                     row.name,
                     limit.least > row.capacity ? "at least" : "more than",
                     amount_text(meaning, limit.least),
                     has_others ? " while the others hold" : "",
                     amount_text(meaning, row.capacity),
                     amount_text(meaning, limit.least - row.capacity));
}

}  // namespace

Result<Conflict> find_conflict(const Problem& problem, const BuiltChain& built,
                               const SolveLimits& limits) {
  const std::vector<bool> rows = clashing_rows(built.chain, limits);
  Conflict conflict;
  TSR_ASSIGN_OR_RETURN(conflict.rules, clashing_rules(problem, rows, limits));
  TSR_ASSIGN_OR_RETURN(const BuiltChain ruled,
                       build_with_rules(problem, conflict.rules));
  for (uint32_t r = 0; r < rows.size(); ++r) {
    if (!rows[r]) continue;
    conflict.limits.push_back(
        {r, least_use(with_limits(ruled.chain, rows), r, limits)});
  }
  return conflict;
}

std::string conflict_text(const Problem& problem, const BuiltChain& built,
                          const Conflict& conflict) {
  std::string limits;
  const bool has_others = conflict.limits.size() + conflict.rules.size() > 1;
  for (const Conflict::Limit& limit : conflict.limits) {
    if (!limits.empty()) limits += "; or ";
    limits += limit_text(built, limit, has_others);
  }
  std::string rules;
  for (const uint32_t rule : conflict.rules) {
    if (!rules.empty()) rules += ", ";
    rules += rule_text(problem.rules[rule]);
  }
  if (limits.empty()) {
    return rules.empty() ? "no plan: nothing leads between the devices that "
                           "can run neighbouring layers"
                         : "no plan keeps all of " + rules;
  }
  return "no plan keeps the limits: " + limits +
         (rules.empty() ? "" : "; with " + rules);
}

}  // namespace tessera::planner
