// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/price_ascent.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::planner {
namespace {

// Steps without a better bound before they are halved, and when they end.
constexpr int kPatience = 8;

// A typical amount of each row: what all options would use on average.
std::vector<double> mean_uses(const Chain& chain) {
  std::vector<double> sums(chain.rows.size(), 0.0);
  for (const Use& use : chain.uses) sums[use.row] += use.amount;
  for (double& sum : sums) {
    sum /= static_cast<double>(std::max<size_t>(1, chain.items.size()));
  }
  return sums;
}

}  // namespace

PriceAscent::PriceAscent(const Chain& chain)
    : chain_(chain),
      scales_(mean_uses(chain)),
      prices_(chain.rows.size(), 0.0),
      direction_(chain.rows.size(), 0.0) {
  size_t num_loads = 0;
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    const Row& row = chain.rows[r];
    if (row.kind == RowKind::kLoad) {
      ++num_loads;
    } else if (row.capacity == kInfinity) {
      scales_[r] = 0.0;
    } else if (row.capacity > 0.0) {
      scales_[r] = row.capacity;
    }
  }
  for (size_t r = 0; r < chain.rows.size(); ++r) {
    if (chain.rows[r].kind != RowKind::kLoad) continue;
    prices_[r] = 1.0 / static_cast<double>(num_loads);
  }
  best_prices_ = prices_;
}

void PriceAscent::restart() {
  factor_ = 1.0;
  stalled_ = 0;
  best_bound_ = -kInfinity;
  std::fill(direction_.begin(), direction_.end(), 0.0);
}

// The subgradient, turned so that it makes no sharp angle with the last step.
void PriceAscent::direct(std::span<const double> sums,
                         std::span<const double> floors) {
  std::vector<double> gradient(sums.size(), 0.0);
  double dot = 0.0;
  double square = 0.0;
  for (size_t r = 0; r < sums.size(); ++r) {
    if (scales_[r] == 0.0) continue;
    const Row& row = chain_.rows[r];
    gradient[r] = sums[r] / scales_[r];
    if (row.kind == RowKind::kLimit) {
      gradient[r] += (floors[r] - row.capacity) / scales_[r];
      if (prices_[r] == 0.0 && gradient[r] < 0.0) gradient[r] = 0.0;
    }
    dot += gradient[r] * direction_[r];
    square += direction_[r] * direction_[r];
  }
  const double turn = dot < 0.0 && square > 0.0 ? -1.5 * dot / square : 0.0;
  for (size_t r = 0; r < sums.size(); ++r) {
    direction_[r] = gradient[r] + turn * direction_[r];
  }
}

void PriceAscent::step(double bound, std::span<const double> sums,
                       std::span<const double> floors, double target) {
  if (bound > best_bound_ + 1e-6 * std::fabs(bound)) {
    stalled_ = 0;
  } else if (++stalled_ >= kPatience) {
    stalled_ = 0;
    factor_ *= 0.5;
    prices_ = best_prices_;
    std::fill(direction_.begin(), direction_.end(), 0.0);
  }
  if (bound > best_bound_) {
    best_bound_ = bound;
    best_prices_ = prices_;
  }
  direct(sums, floors);
  double square = 0.0;
  for (const double d : direction_) square += d * d;
  if (square == 0.0) return;
  const double length = factor_ * std::max(target - bound, 0.0) / square;
  for (size_t r = 0; r < prices_.size(); ++r) {
    if (scales_[r] == 0.0) continue;
    prices_[r] =
        std::max(0.0, prices_[r] + length * direction_[r] / scales_[r]);
  }
  normalize_loads();
}

// The nearest prices of loads that sum to 1, in units of each row.
void PriceAscent::normalize_loads() {
  std::vector<size_t> loads;
  for (size_t r = 0; r < prices_.size(); ++r) {
    if (chain_.rows[r].kind == RowKind::kLoad) loads.push_back(r);
  }
  if (loads.empty()) return;
  std::vector<double> sorted;
  sorted.reserve(loads.size());
  for (const size_t r : loads) sorted.push_back(prices_[r]);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0.0;
  double shift = 0.0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    sum += sorted[i];
    const double candidate = (sum - 1.0) / static_cast<double>(i + 1);
    if (sorted[i] > candidate) shift = candidate;
  }
  double total = 0.0;
  for (const size_t r : loads) {
    prices_[r] = std::max(0.0, prices_[r] - shift);
    total += prices_[r];
  }
  // Rounding must not make the bound too large.
  for (const size_t r : loads) prices_[r] /= total;
}

}  // namespace tessera::planner
