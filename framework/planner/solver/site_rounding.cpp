// SPDX-License-Identifier: Apache-2.0
//
// From an arrangement's prices to a plan that keeps the limits.

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/planner/solver/repair.hpp"
#include "framework/planner/solver/site_search.hpp"

namespace tessera::planner {
namespace {

// How often prices are raised a little until a choice keeps all limits, and
// repairing it is tried.
constexpr uint32_t kAttempts = 60;
constexpr uint32_t kAttemptsPerRepair = 10;

// How often a segment leaves the fullest run.
constexpr uint32_t kRoundings = 6;
// A limit that a state takes so much of is its own.
constexpr double kOwnShare = 0.9;

// What each price is multiplied by, one at a time, for choices that may round
// better.
constexpr double kShakes[] = {0.95, 0.98, 0.99, 1.01, 1.02, 1.05};

}  // namespace

// A choice that keeps the limits where everything is: repaired, or at prices at
// which what was short is dearer.
bool SiteSearch::make_feasible(const Trial& trial) {
  std::vector<double> prices = trial.prices;
  for (uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    if (!choose(trial.states, prices)) return false;
    const Totals totals = add_up(chain_, choice_);
    if (is_feasible(chain_, totals)) return true;
    if (attempt % kAttemptsPerRepair == 0) {
      Choice repaired = choice_;
      if (repair(chain_, incumbent_->alternatives(), prices, repaired, work_)) {
        choice_ = std::move(repaired);
        return true;
      }
    }
    for (size_t r = 0; r < prices.size(); ++r) {
      const Row& row = chain_.rows[r];
      if (excess_of(row, totals.sums[r] + totals.peaks[r]) == 0.0) continue;
      const double unit =
          1e-5 * std::fabs(trial.least) / std::max(row.capacity, 1e-30);
      const double factor = attempt < kAttempts / 2 ? 1.01 : 1.2;
      prices[r] = std::max(prices[r] * factor, prices[r] + unit);
    }
  }
  return false;
}

// How full the limits are that only `state` takes from, of 1.
double SiteSearch::fullness_of(uint32_t state, const Arrangement& states,
                               const Totals& totals) const {
  Totals own{0.0, std::vector<double>(chain_.rows.size()),
             std::vector<double>(chain_.rows.size())};
  for (uint32_t g = 0; g < states.size(); ++g) {
    if (states[g] != state) continue;
    for (uint32_t i = chain_.segments[g].item_begin;
         i < chain_.segments[g].item_end; ++i) {
      charge_item(chain_, i, choice_.options[0][i], choice_.options[1][i], own);
    }
  }
  double fullness = 0.0;
  for (size_t r = 0; r < own.sums.size(); ++r) {
    const Row& row = chain_.rows[r];
    if (row.kind == RowKind::kLoad || row.capacity <= 0.0 ||
        own.sums[r] < kOwnShare * totals.sums[r]) {
      continue;
    }
    fullness =
        std::max(fullness, (totals.sums[r] + totals.peaks[r]) / row.capacity);
  }
  return fullness;
}

// Ends are whole segments, which may be one too many: takes them from the
// fullest run, and all between move along, until what is chosen there can be
// made to keep the limits.
void SiteSearch::round_ends(Trial& trial) {
  const double cutoff = kWorstArrangement * incumbent_->objective();
  for (uint32_t round = 0; round < kRoundings && !is_spent(); ++round) {
    if (try_states(trial, cutoff) && trial.objective < kInfinity) {
      return;
    }
    if (!choose(trial.states, trial.prices)) return;
    repair(chain_, incumbent_->alternatives(), trial.prices, choice_, work_);
    const Totals totals = add_up(chain_, choice_);
    std::vector<double> fullness;
    std::vector<uint32_t> ends;
    for (uint32_t g = 1; g <= trial.states.size(); ++g) {
      if (g < trial.states.size() && trial.states[g] == trial.states[g - 1]) {
        continue;
      }
      ends.push_back(g);
      fullness.push_back(
          fullness_of(trial.states[g - 1], trial.states, totals));
    }
    const auto full = static_cast<size_t>(
        std::max_element(fullness.begin(), fullness.end()) - fullness.begin());
    const auto empty = static_cast<size_t>(
        std::min_element(fullness.begin(), fullness.end()) - fullness.begin());
    for (size_t run = 0; run < ends.size(); ++run) {
      if (fullness[run] <= 1.0 && run != full) continue;
      for (size_t p = run; p < empty; ++p) --ends[p];
      for (size_t p = empty; p < run; ++p) ++ends[p];
    }
    if (!std::is_sorted(ends.begin(), ends.end())) return;
    trial.states = arrange(order_of(trial.states), ends);
  }
}

// Choices at prices around the trial's, each repaired and bettered item by
// item: what rounds badly at one price may round well beside it.
void SiteSearch::shake(const Trial& trial) {
  for (size_t r = 0; r < chain_.rows.size(); ++r) {
    if (trial.prices[r] == 0.0) continue;
    for (const double factor : kShakes) {
      std::vector<double> prices = trial.prices;
      prices[r] *= factor;
      if (!choose(trial.states, prices)) return;
      Choice repaired = choice_;
      const auto& alternatives = incumbent_->alternatives();
      if (!repair(chain_, alternatives, trial.prices, repaired, work_)) {
        continue;
      }
      incumbent_->polish(std::move(repaired), trial.prices);
    }
  }
}

void SiteSearch::better_rounding(std::span<const double> prices) {
  if (ways_ == nullptr) return;
  Trial trial = trial_of(incumbent_->choice().sites, prices);
  given_floors_ = add_up(chain_, incumbent_->choice()).peaks;
  if (settle(trial, kWorstArrangement * incumbent_->objective())) shake(trial);
  given_floors_.clear();
}

}  // namespace tessera::planner
