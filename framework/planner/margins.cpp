// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/margins.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/planner/amount_text.hpp"
#include "framework/planner/solver/alternatives.hpp"
#include "framework/planner/solver/incumbent.hpp"
#include "framework/planner/solver/relaxation.hpp"

namespace tessera::planner {
namespace {

std::string option_text(const Problem& problem, const BuiltChain& built,
                        uint32_t item, uint32_t option) {
  const uint32_t g = built.segment_of_item[item];
  const uint32_t linear = built.linear_of_item[item];
  if (linear == kNone) {
    return problem.devices[built.chain.options[option].site].name;
  }
  const LinearClass& entry =
      problem.linear_classes[problem.segments[g].linears[linear].linear_class];
  const Cell& cell = entry.cells[built.option_index[option]];
  return problem.devices[cell.parts.front().device].name + " " +
         problem.schemes[cell.scheme];
}

// The first limit that `totals` breaks, with how much.
std::string broken_limit(const BuiltChain& built, const Totals& totals) {
  const Chain& chain = built.chain;
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    const double total = totals.sums[r] + totals.peaks[r];
    if (excess_of(chain.rows[r], total) == 0.0) continue;
    return fmt::format("{} to {} of {}", chain.rows[r].name,
                       amount_text(built.meanings[r], total),
                       amount_text(built.meanings[r], chain.rows[r].capacity));
  }
  return "";
}

class MarginFinder {
 public:
  MarginFinder(const Problem& problem, const BuiltChain& built,
               const Solution& solution)
      : problem_(problem),
        built_(built),
        solution_(solution),
        ledger_(built.chain, solution.choice),
        alternatives_(built.chain),
        relaxation_(built.chain) {}

  std::vector<Margin> find() {
    relaxation_.solve(solution_.prices);
    relaxation_.find_ways();
    std::vector<Margin> margins;
    for (uint32_t i = 0; i < built_.chain.items.size(); ++i) {
      margins.push_back(built_.linear_of_item[i] == kNone ? of_segment(i)
                                                          : of_linear(i));
    }
    return margins;
  }

 private:
  Margin of_segment(uint32_t item) {
    Margin margin;
    const uint32_t g = built_.segment_of_item[item];
    const uint32_t chosen = solution_.choice.sites[0][g];
    double least = kInfinity;
    for (uint32_t site = 0; site < built_.chain.num_sites; ++site) {
      if (site == chosen) continue;
      const double bound = relaxation_.least_at(g, kPrefill, site);
      if (bound >= least) continue;
      least = bound;
      margin.second = problem_.devices[site].name;
    }
    if (least == kInfinity) {
      margin.reason = "no other device can run it";
      return margin;
    }
    margin.margin = std::max(0.0, least - solution_.objective);
    margin.reason =
        *margin.margin > 0.0
            ? fmt::format("on {} every plan costs more", margin.second)
            : fmt::format("{} may do as well; nothing better was found",
                          margin.second);
    return margin;
  }

  // Sees every other pair of options at the same sites.
  Margin of_linear(uint32_t item) {
    const Chain& chain = built_.chain;
    double least = kInfinity;
    uint32_t second = kNone;
    double cheapest = solution_.objective;
    uint32_t cheaper = kNone;
    alternatives_.visit(item, solution_.choice, [&](uint32_t a, uint32_t b) {
      if (chain.options[a].resident != chain.options[b].resident) return;
      const Totals& totals = ledger_.with(item, a, b);
      const double objective = objective_of(chain, totals);
      if (is_feasible(chain, totals)) {
        if (objective >= least) return;
        least = objective;
        second = a;
      } else if (objective < cheapest) {
        cheapest = objective;
        cheaper = a;
        broken_ = totals;
      }
    });
    Margin margin;
    margin.reason = "nothing else costs less here";
    if (second != kNone) {
      margin.second = option_text(problem_, built_, item, second);
      margin.margin = least - solution_.objective;
    }
    if (cheaper != kNone) {
      margin.reason =
          fmt::format("{} would save {} but bring {}",
                      option_text(problem_, built_, item, cheaper),
                      objective_text(objective_name(problem_.objective),
                                     solution_.objective - cheapest),
                      broken_limit(built_, broken_));
    }
    return margin;
  }

  const Problem& problem_;
  const BuiltChain& built_;
  const Solution& solution_;
  Ledger ledger_;
  Alternatives alternatives_;
  Relaxation relaxation_;
  Totals broken_;  // of the cheapest that keeps no limits
};

}  // namespace

std::vector<Margin> find_margins(const Problem& problem,
                                 const BuiltChain& built,
                                 const Solution& solution) {
  return MarginFinder(problem, built, solution).find();
}

}  // namespace tessera::planner
