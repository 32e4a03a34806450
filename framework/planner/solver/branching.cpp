// SPDX-License-Identifier: Apache-2.0
//
// What a branch leaves open, and which decision comes next.

#include <algorithm>
#include <cmath>

#include "framework/planner/solver/search.hpp"

namespace tessera::planner {
namespace {

// Options of a chain that is small.
constexpr size_t kSmallChain = 5000;

// Branches decide first where bulky segments go: doubt counts so much more for
// a segment that fills a whole limit.
constexpr double kWeightOfBulk = 50.0;

// Peaks are decided first where that closes so much of what is open.
constexpr double kWorthPeak = 0.05;

bool has_peaks(const Chain& chain) {
  return std::any_of(
      chain.options.begin(), chain.options.end(),
      [](const Option& option) { return option.charge.peaks.count > 0; });
}

double peak_of(const Chain& chain, const Charge& charge, uint32_t row) {
  double peak = 0.0;
  for (uint32_t i = 0; i < charge.peaks.count; ++i) {
    const Use& use = chain.uses[charge.peaks.begin + i];
    if (use.row == row) peak = std::max(peak, use.amount);
  }
  return peak;
}

// Weighs what is open: the decision that the last steps were most of two minds
// about, and anything at all in case there was no doubt.
class DecisionFinder {
 public:
  DecisionFinder(const Chain& chain, const Restriction& restriction,
                 const Relaxation& relaxation, const ChoiceCounts& counts)
      : chain_(chain),
        restriction_(restriction),
        relaxation_(relaxation),
        counts_(counts) {}

  void find() {
    for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
      const double bulk = relaxation_.bulk_of(g);
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        weigh_sites(g, phase, bulk);
        const Segment& segment = chain_.segments[g];
        for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
          weigh_options(g, phase, i);
        }
      }
    }
  }

  bool has_doubt() const { return most_ > 0.0; }
  const Decision& doubted() const { return doubted_; }
  bool has_open() const { return has_open_; }
  const Decision& open() const { return open_; }

 private:
  void weigh(uint32_t count, double weight, const Decision& decision) {
    const double share =
        static_cast<double>(count) / std::max(1U, counts_.steps);
    const double doubt = weight * std::min(share, 1.0 - share);
    if (doubt <= most_) return;
    most_ = doubt;
    doubted_ = decision;
  }

  void note_open(const Decision& decision) {
    if (has_open_) return;
    has_open_ = true;
    open_ = decision;
  }

  void weigh_sites(uint32_t g, uint32_t phase, double bulk) {
    const uint32_t first = g * chain_.num_sites;
    const uint32_t* counts =
        &counts_.sites[phase * chain_.segments.size() * chain_.num_sites];
    uint32_t num_open = 0;
    for (uint32_t s = first; s < first + chain_.num_sites; ++s) {
      if (restriction_.site_out[phase][s] != 0) continue;
      ++num_open;
      weigh(counts[s], 1.5 + kWeightOfBulk * bulk,
            {Decision::Kind::kSite, phase, s, 0.0, true});
    }
    if (num_open < 2) return;
    note_open({Decision::Kind::kSite, phase,
               first + relaxation_.choice().sites[phase][g], 0.0, true});
  }

  void weigh_options(uint32_t g, uint32_t phase, uint32_t i) {
    const Item& item = chain_.items[i];
    const auto& site_out = restriction_.site_out[phase];
    uint32_t num_open = 0;
    for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
         ++o) {
      if (restriction_.option_out[o] != 0) continue;
      const uint32_t site = g * chain_.num_sites + chain_.options[o].site;
      if (site_out[site] != 0) continue;
      ++num_open;
      weigh(counts_.options[o], 1.0,
            {Decision::Kind::kOption, phase, o, 0.0, true});
    }
    if (num_open < 2) return;
    note_open({Decision::Kind::kOption, phase,
               relaxation_.choice().options[phase][i], 0.0, true});
  }

  const Chain& chain_;
  const Restriction& restriction_;
  const Relaxation& relaxation_;
  const ChoiceCounts& counts_;
  double most_ = 0.0;
  Decision doubted_;
  bool has_open_ = false;
  Decision open_;
};

}  // namespace

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
        if (peak_of(chain_, chain_.options[o].charge, decision.index) >=
            decision.level) {
          restriction.option_out[o] = 1;
        }
      }
      return;
    }
  }
}

// An item whose options all have a peak forces the least of them.
void Search::raise_floors(Restriction& restriction) const {
  if (!has_peaks(chain_)) return;
  std::vector<double> least(chain_.rows.size());
  for (const Item& item : chain_.items) {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      std::fill(least.begin(), least.end(), kInfinity);
      for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
           ++o) {
        if (restriction.option_out[o] != 0) continue;
        for (uint32_t r = 0; r < least.size(); ++r) {
          least[r] =
              std::min(least[r], peak_of(chain_, chain_.options[o].charge, r));
        }
      }
      for (size_t r = 0; r < least.size(); ++r) {
        if (least[r] == kInfinity) continue;
        restriction.peak_floor[r] =
            std::max(restriction.peak_floor[r], least[r]);
      }
    }
  }
}

Restriction Search::restriction_of(const Node& node) const {
  Restriction restriction = root_restriction_;
  for (const Node* at = &node; at->parent; at = at->parent.get()) {
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

// A row whose peaks would raise the bound by `least_rise` if they were charged;
// if that is 0, one that the last choice breaks.
bool Search::choose_peak(const Node& node, const Restriction& restriction,
                         double least_rise, Decision* out) const {
  const Choice& choice = relaxation_.choice();
  const Totals totals = add_up(chain_, choice);
  for (uint32_t r = 0; r < chain_.rows.size(); ++r) {
    double level = 0.0;
    for (const auto& options : choice.options) {
      for (const uint32_t o : options) {
        level = std::max(level, peak_of(chain_, chain_.options[o].charge, r));
      }
    }
    const double rise = level - restriction.peak_floor[r];
    if (rise <= 0.0 || node.prices[r] * rise < least_rise) continue;
    const bool broken =
        excess_of(chain_.rows[r], totals.sums[r] + totals.peaks[r]) > 0.0;
    if (!broken && least_rise == 0.0) continue;
    *out = {Decision::Kind::kPeak, 0, r, level, false};
    return true;
  }
  return false;
}

// A peak whose charge would close much of the gap; else the decision that the
// last steps were most of two minds about; else what a peak needs; else
// anything that is open.  False if nothing is.
bool Search::choose_decision(const Node& node, const Restriction& restriction,
                             Decision* out) const {
  if (incumbent_.exists()) {
    const double open = incumbent_.objective() - node.bound;
    if (open > 0.0 && choose_peak(node, restriction, kWorthPeak * open, out)) {
      return true;
    }
  }
  DecisionFinder finder(chain_, restriction, relaxation_, counts_);
  finder.find();
  if (finder.has_doubt()) {
    *out = finder.doubted();
    return true;
  }
  if (choose_peak(node, restriction, 0.0, out)) return true;
  *out = finder.open();
  return finder.has_open();
}

// Each limit by itself: what would break it even if all else used least.
bool Search::keep_limits(Restriction& restriction, uint32_t* out_excluded) {
  std::vector<double> prices(chain_.rows.size(), 0.0);
  for (uint32_t r = 0; r < chain_.rows.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind != RowKind::kLimit || row.capacity == kInfinity) continue;
    prices[r] = 1.0;
    const double rounding = kTolerance * std::fabs(row.capacity);
    if (relaxation_.solve_limits(restriction, prices) > rounding) return false;
    *out_excluded += relaxation_.exclude_above(rounding, restriction);
    prices[r] = 0.0;
  }
  return true;
}

bool Search::propagate(const Node& node, Restriction& restriction) {
  // Small chains are worth more care: there it closes most branches.
  const uint32_t rounds = chain_.options.size() < kSmallChain ? 4 : 1;
  for (uint32_t round = 0; round < rounds; ++round) {
    uint32_t excluded = 0;
    if (!keep_limits(restriction, &excluded)) return false;
    raise_floors(restriction);
    if (!node.prices.empty()) {
      if (is_closed(relaxation_.solve(restriction, node.prices))) return false;
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
