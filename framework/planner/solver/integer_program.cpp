// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/integer_program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "framework/planner/solver/mixed_integer_program.hpp"

namespace tessera::planner {
namespace {

// The library holds rows to 1e-7 and counts 1e-6 as whole; what it proves is
// taken as proven up to that.
constexpr double kProofTolerance = 1e-6;

// Stands for no column and for no row.
constexpr int kNoColumn = -1;

// Two options of an item, one for each phase, and all that they are charged.
struct Pair {
  uint32_t prefill;
  uint32_t decode;
  Totals totals;
};

class Formulation {
 public:
  Formulation(const Chain& chain, const Restriction& restriction, double cutoff)
      : chain_(chain),
        restriction_(restriction),
        cost_unit_(std::max(std::fabs(cutoff), 1e-30)) {
    add_limits();
    add_sites();
    for (uint32_t g = 0; g < chain.segments.size(); ++g) {
      const Segment& segment = chain.segments[g];
      for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
        add_item(g, i);
      }
      if (segment.edge != kNone) add_edges(g);
    }
    options_.resize(chain.options.size(), kNoColumn);
  }

  const MixedIntegerProgram& program() const { return program_; }
  double cost_unit() const { return cost_unit_; }

  // The choice that a solution means.
  Choice choice_of(std::span<const double> solution) const {
    Choice choice;
    const auto is_set = [solution](int column) {
      return column != kNoColumn && solution[static_cast<size_t>(column)] > 0.5;
    };
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      choice.sites[phase].resize(chain_.segments.size());
      choice.options[phase].resize(chain_.items.size());
      for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
        for (uint32_t s = 0; s < chain_.num_sites; ++s) {
          if (is_set(site(phase, g, s))) choice.sites[phase][g] = s;
        }
      }
      for (uint32_t i = 0; i < chain_.items.size(); ++i) {
        const Item& item = chain_.items[i];
        choice.options[phase][i] = item.option_begin[phase];
        for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
             ++o) {
          if (is_set(options_[o])) choice.options[phase][i] = o;
        }
      }
    }
    for (const PairColumn& pair : pairs_) {
      if (!is_set(pair.column)) continue;
      choice.options[0][pair.item] = pair.prefill;
      choice.options[1][pair.item] = pair.decode;
    }
    return choice;
  }

 private:
  struct PairColumn {
    int column;
    uint32_t item;
    uint32_t prefill;
    uint32_t decode;
  };

  int site(uint32_t phase, uint32_t segment, uint32_t s) const {
    return sites_[phase][size_t{segment} * chain_.num_sites + s];
  }

  // Rows of limits, in units of their capacity, and a column for each peak.
  void add_limits() {
    constexpr double kNone = kInfinity;
    limit_rows_.assign(chain_.rows.size(), kNoColumn);
    peaks_.assign(chain_.rows.size(), kNoColumn);
    for (size_t r = 0; r < chain_.rows.size(); ++r) {
      const Row& row = chain_.rows[r];
      if (row.kind == RowKind::kLoad) {
        if (load_ == kNoColumn) load_ = program_.add_column(1.0, kNone, false);
        limit_rows_[r] = program_.add_row(-kNone, 0.0);
        program_.add_term(limit_rows_[r], load_, -1.0);
        units_.push_back(cost_unit_);
        continue;
      }
      const double unit = row.capacity > 0.0 ? row.capacity : 1.0;
      units_.push_back(unit);
      if (row.capacity == kInfinity) continue;
      limit_rows_[r] = program_.add_row(-kNone, row.capacity / unit);
      peaks_[r] = program_.add_column(0.0, kNone, false);
      program_.add_term(limit_rows_[r], peaks_[r], 1.0);
    }
  }

  void add_sites() {
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      sites_[phase].assign(chain_.segments.size() * chain_.num_sites,
                           kNoColumn);
    }
    for (uint32_t g = 0; g < chain_.segments.size(); ++g) {
      const bool tied = chain_.segments[g].tied;
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        if (phase > 0 && tied) {
          for (uint32_t s = 0; s < chain_.num_sites; ++s) {
            sites_[phase][g * chain_.num_sites + s] = site(0, g, s);
          }
          continue;
        }
        const int one = program_.add_row(1.0, 1.0);
        for (uint32_t s = 0; s < chain_.num_sites; ++s) {
          const size_t at = size_t{g} * chain_.num_sites + s;
          const bool out = restriction_.site_out[phase][at] != 0 ||
                           (tied && restriction_.site_out[1 - phase][at] != 0);
          if (out) continue;
          sites_[phase][at] = program_.add_column(0.0, 1.0, true);
          program_.add_term(one, sites_[phase][at], 1.0);
        }
      }
    }
  }

  // A column for what is charged; its peaks count in `peak_rows`, by row.
  int add_charged(const Charge& charge, bool whole,
                  std::map<uint32_t, int>& peak_rows) {
    const int column = program_.add_column(charge.cost / cost_unit_,
                                           whole ? 1.0 : kInfinity, whole);
    for (uint32_t u = 0; u < charge.sums.count; ++u) {
      const Use& use = chain_.uses[charge.sums.begin + u];
      if (limit_rows_[use.row] == kNoColumn) continue;
      program_.add_term(limit_rows_[use.row], column,
                        use.amount / units_[use.row]);
    }
    for (uint32_t u = 0; u < charge.peaks.count; ++u) {
      const Use& use = chain_.uses[charge.peaks.begin + u];
      if (peaks_[use.row] == kNoColumn) continue;
      auto [at, is_new] = peak_rows.try_emplace(use.row, 0);
      if (is_new) {
        at->second = program_.add_row(-kInfinity, 0.0);
        program_.add_term(at->second, peaks_[use.row], -1.0);
      }
      program_.add_term(at->second, column, use.amount / units_[use.row]);
    }
    return column;
  }

  // Only one option of a phase is chosen, so their peaks share a row.
  void add_options(uint32_t segment, uint32_t item, uint32_t phase) {
    const Item& entry = chain_.items[item];
    std::vector<int> site_rows(chain_.num_sites, kNoColumn);
    for (uint32_t s = 0; s < chain_.num_sites; ++s) {
      const int column = site(phase, segment, s);
      if (column == kNoColumn) continue;
      site_rows[s] = program_.add_row(0.0, 0.0);
      program_.add_term(site_rows[s], column, -1.0);
    }
    std::map<uint32_t, int> peak_rows;
    for (uint32_t o = entry.option_begin[phase]; o < entry.option_end[phase];
         ++o) {
      const Option& option = chain_.options[o];
      if (!is_open(o) || site_rows[option.site] == kNoColumn) continue;
      options_[o] = add_charged(option.charge, true, peak_rows);
      program_.add_term(site_rows[option.site], options_[o], 1.0);
    }
  }

  Pair pair_of(uint32_t item, uint32_t prefill, uint32_t decode) const {
    const std::vector<double> zeros(chain_.rows.size());
    Pair pair{prefill, decode, {0.0, zeros, zeros}};
    charge_item(chain_, item, prefill, decode, pair.totals);
    return pair;
  }

  // What an item can use at one site in both phases, without what another pair
  // makes needless.
  std::vector<Pair> pairs_at(uint32_t index, uint32_t site) const {
    const Item& item = chain_.items[index];
    std::vector<Pair> pairs;
    for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
      if (!is_open(a) || chain_.options[a].site != site) continue;
      for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
        const bool fits =
            is_open(b) && chain_.options[b].site == site &&
            (!item.one_resident ||
             chain_.options[a].resident == chain_.options[b].resident);
        if (!fits) continue;
        Pair pair = pair_of(index, a, b);
        const auto beats_it = [&pair](const Pair& p) {
          return no_worse(p.totals, pair.totals);
        };
        if (std::any_of(pairs.begin(), pairs.end(), beats_it)) continue;
        std::erase_if(pairs, [&pair](const Pair& p) {
          return no_worse(pair.totals, p.totals);
        });
        pairs.push_back(std::move(pair));
      }
    }
    return pairs;
  }

  bool is_open(uint32_t option) const {
    return restriction_.option_out[option] == 0 &&
           chain_.options[option].charge.cost < kInfinity;
  }

  // An item of a segment that is at one site in both phases: a column for each
  // pair of options, which bounds far better than one for each option.
  void add_tied_item(uint32_t segment, uint32_t item) {
    std::vector<int> peak_rows(chain_.rows.size(), kNoColumn);
    for (uint32_t s = 0; s < chain_.num_sites; ++s) {
      if (site(0, segment, s) == kNoColumn) continue;
      const int row = flow_row(site(0, segment, s));
      for (const Pair& pair : pairs_at(item, s)) {
        const int column =
            program_.add_column(pair.totals.cost / cost_unit_, 1.0, true);
        pairs_.push_back({column, item, pair.prefill, pair.decode});
        program_.add_term(row, column, 1.0);
        for (size_t r = 0; r < chain_.rows.size(); ++r) {
          if (limit_rows_[r] == kNoColumn) continue;
          program_.add_term(limit_rows_[r], column,
                            pair.totals.sums[r] / units_[r]);
          if (peaks_[r] == kNoColumn || pair.totals.peaks[r] == 0.0) continue;
          if (peak_rows[r] == kNoColumn) {
            peak_rows[r] = program_.add_row(-kInfinity, 0.0);
            program_.add_term(peak_rows[r], peaks_[r], -1.0);
          }
          program_.add_term(peak_rows[r], column,
                            pair.totals.peaks[r] / units_[r]);
        }
      }
    }
  }

  void add_item(uint32_t segment, uint32_t item) {
    if (chain_.segments[segment].tied) {
      add_tied_item(segment, item);
      return;
    }
    options_.resize(chain_.options.size(), kNoColumn);
    const Item& entry = chain_.items[item];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      add_options(segment, item, phase);
    }
    std::map<uint32_t, int> shared_peaks;
    const uint32_t num_residents = entry.resident_end - entry.resident_begin;
    for (uint32_t r = 0; r < num_residents; ++r) {
      std::map<uint32_t, int> own_peaks;
      const int resident =
          add_charged(chain_.residents[entry.resident_begin + r], true,
                      entry.one_resident ? shared_peaks : own_peaks);
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        hold_resident(entry, phase, r, resident);
      }
    }
  }

  // A resident is held if an option needs it; of an item with one resident,
  // exactly then.
  void hold_resident(const Item& entry, uint32_t phase, uint32_t resident,
                     int column) {
    const int row =
        program_.add_row(entry.one_resident ? 0.0 : -kInfinity, 0.0);
    program_.add_term(row, column, -1.0);
    for (uint32_t o = entry.option_begin[phase]; o < entry.option_end[phase];
         ++o) {
      if (options_[o] == kNoColumn || chain_.options[o].resident != resident) {
        continue;
      }
      program_.add_term(row, options_[o], 1.0);
    }
  }

  void add_edges(uint32_t segment) {
    const Edge& edge = chain_.edges[chain_.segments[segment].edge];
    for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
      std::vector<int> from(chain_.num_sites, kNoColumn);
      std::vector<int> to(chain_.num_sites, kNoColumn);
      for (uint32_t s = 0; s < chain_.num_sites; ++s) {
        from[s] = flow_row(site(phase, segment, s));
        to[s] = flow_row(site(phase, segment + 1, s));
      }
      std::map<uint32_t, int> peak_rows;
      for (uint32_t a = 0; a < chain_.num_sites; ++a) {
        for (uint32_t b = 0; b < chain_.num_sites; ++b) {
          const Charge& charge = edge.charges[phase][a * chain_.num_sites + b];
          if (from[a] == kNoColumn || to[b] == kNoColumn ||
              charge.cost == kInfinity) {
            continue;
          }
          const int flow = add_charged(charge, false, peak_rows);
          program_.add_term(from[a], flow, 1.0);
          program_.add_term(to[b], flow, 1.0);
        }
      }
    }
  }

  // What leaves or enters a site is 1 if the segment is there.
  int flow_row(int site_column) {
    if (site_column == kNoColumn) return kNoColumn;
    const int row = program_.add_row(0.0, 0.0);
    program_.add_term(row, site_column, -1.0);
    return row;
  }

  const Chain& chain_;
  const Restriction& restriction_;
  double cost_unit_;
  MixedIntegerProgram program_;
  std::vector<int> limit_rows_;  // by row of the chain
  std::vector<int> peaks_;       // columns, by row of the chain
  std::vector<double> units_;    // by row of the chain
  int load_ = kNoColumn;         // the largest load
  std::array<std::vector<int>, kNumPhases> sites_;  // columns
  std::vector<int> options_;                        // columns
  std::vector<PairColumn> pairs_;                   // of tied segments
};

}  // namespace

IntegerSolution solve_integer_program(const Chain& chain,
                                      const Restriction& restriction,
                                      double cutoff,
                                      const IntegerProgramLimits& limits) {
  IntegerSolution result;
  const Formulation formulation(chain, restriction, cutoff);
  if (formulation.program().num_columns() > limits.max_columns) return result;
  const MixedIntegerProgram::Outcome outcome = formulation.program().solve(
      cutoff / formulation.cost_unit(), limits.max_nodes);
  result.bound =
      outcome.bound * formulation.cost_unit() * (1.0 - kProofTolerance);
  if (!outcome.values.empty()) {
    result.has_choice = true;
    result.choice = formulation.choice_of(outcome.values);
  }
  return result;
}

}  // namespace tessera::planner
