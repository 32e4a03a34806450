// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/price_cuts.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/planner/solver/mixed_integer_program.hpp"

namespace tessera::planner {
namespace {

// The first box: that part of a coordinate on both sides, and no less than the
// second figure.
constexpr double kFirstRadius = 0.5;
constexpr double kLeastRadius = 0.02;

// A step that gains that part of what the model promised was a good one.
constexpr double kGoodStep = 0.3;
constexpr double kGrowth = 2.0;
constexpr double kShrinkage = 0.6;

double first_radius(double coordinate) {
  return std::max(kFirstRadius * coordinate, kLeastRadius);
}

}  // namespace

PriceCuts::PriceCuts(std::vector<Row> rows, std::span<const double> scales)
    : all_rows_(std::move(rows)) {
  for (uint32_t r = 0; r < all_rows_.size(); ++r) {
    if (scales[r] == 0.0) continue;
    rows_.push_back(r);
    scales_.push_back(scales[r]);
  }
}

bool PriceCuts::is_load(size_t k) const {
  return all_rows_[rows_[k]].kind == RowKind::kLoad;
}

double PriceCuts::least_of(size_t k) const {
  return std::max(0.0, center_[k] - radius_[k]);
}

double PriceCuts::slope_of(size_t k, std::span<const double> sums,
                           std::span<const double> floors) const {
  const uint32_t r = rows_[k];
  const double above = is_load(k) ? 0.0 : floors[r] - all_rows_[r].capacity;
  return (sums[r] + above) / scales_[k];
}

void PriceCuts::add_choice(double cost, std::span<const double> sums,
                           std::span<const double> floors) {
  Cut cut;
  cut.height = cost / unit_;
  for (size_t k = 0; k < rows_.size(); ++k) {
    cut.slopes.push_back(slope_of(k, sums, floors));
  }
  cuts_.push_back(std::move(cut));
}

double PriceCuts::bound_of(double cost, std::span<const double> sums,
                           std::span<const double> floors) const {
  double height = cost / unit_;
  for (size_t k = 0; k < rows_.size(); ++k) {
    height += slope_of(k, sums, floors) * center_[k];
  }
  return height * unit_;
}

void PriceCuts::start(std::span<const double> prices, double bound) {
  unit_ = std::max(std::fabs(bound), 1e-30);
  best_ = bound / unit_;
  for (size_t k = 0; k < rows_.size(); ++k) {
    factors_.push_back(scales_[k] / unit_);
    center_.push_back(prices[rows_[k]] * factors_[k]);
    radius_.push_back(first_radius(center_[k]));
  }
}

void PriceCuts::add(std::span<const double> prices, double bound,
                    std::span<const double> sums,
                    std::span<const double> floors) {
  const bool is_first = factors_.empty();
  if (is_first) start(prices, bound);
  Cut cut;
  cut.height = bound / unit_;
  std::vector<double> at;
  for (size_t k = 0; k < rows_.size(); ++k) {
    const double slope = slope_of(k, sums, floors);
    at.push_back(prices[rows_[k]] * factors_[k]);
    cut.height -= slope * at.back();
    cut.slopes.push_back(slope);
  }
  const double height = bound / unit_;
  if (!is_first) adapt_box(height - best_);
  cuts_.push_back(std::move(cut));
  if (height > best_) {
    best_ = height;
    center_ = std::move(at);
  }
}

void PriceCuts::adapt_box(double gain) {
  if (promised_.at.empty()) return;
  const bool good = gain >= kGoodStep * (promised_.height - best_);
  for (size_t k = 0; k < radius_.size(); ++k) {
    const double step = std::fabs(promised_.at[k] - center_[k]);
    if (good && step > 0.99 * radius_[k]) radius_[k] *= kGrowth;
    if (gain < 0.0) radius_[k] *= kShrinkage;
  }
}

// False if the box is as large as a first one.
bool PriceCuts::restore_box() {
  bool grew = false;
  for (size_t k = 0; k < radius_.size(); ++k) {
    const double first = first_radius(center_[k]);
    if (radius_[k] >= first) continue;
    radius_[k] = first;
    grew = true;
  }
  return grew;
}

// Columns: what is missing to a height that no cut reaches in the box, then
// each coordinate above its least.
PriceCuts::Peak PriceCuts::highest_in_box() const {
  double top = kInfinity;
  for (const Cut& cut : cuts_) {
    double most = cut.height;
    for (size_t k = 0; k < rows_.size(); ++k) {
      most += std::max(cut.slopes[k] * least_of(k),
                       cut.slopes[k] * (center_[k] + radius_[k]));
    }
    top = std::min(top, most);
  }
  MixedIntegerProgram program;
  const int missing = program.add_column(1.0, kInfinity, false);
  std::vector<int> columns;
  double load_sum = 1.0;
  bool has_loads = false;
  for (size_t k = 0; k < rows_.size(); ++k) {
    columns.push_back(
        program.add_column(0.0, center_[k] + radius_[k] - least_of(k), false));
    if (!is_load(k)) continue;
    has_loads = true;
    load_sum -= least_of(k) / factors_[k];
  }
  const int loads = has_loads ? program.add_row(load_sum, load_sum) : 0;
  for (size_t k = 0; k < rows_.size(); ++k) {
    if (is_load(k)) program.add_term(loads, columns[k], 1.0 / factors_[k]);
  }
  for (const Cut& cut : cuts_) {
    double at_least = cut.height;
    for (size_t k = 0; k < rows_.size(); ++k) {
      at_least += cut.slopes[k] * least_of(k);
    }
    const int row = program.add_row(top - at_least, kInfinity);
    program.add_term(row, missing, 1.0);
    for (size_t k = 0; k < rows_.size(); ++k) {
      program.add_term(row, columns[k], cut.slopes[k]);
    }
  }
  const std::vector<double> values = program.solve_linear();
  Peak peak;
  if (values.empty()) return peak;
  peak.height = top - values[static_cast<size_t>(missing)];
  for (size_t k = 0; k < rows_.size(); ++k) {
    peak.at.push_back(
        std::max(0.0, least_of(k) + values[static_cast<size_t>(columns[k])]));
  }
  return peak;
}

std::vector<double> PriceCuts::next(double least_gain) {
  promised_ = highest_in_box();
  // A small box promises little wherever it is.
  if (promised_.height - best_ < least_gain / unit_ && restore_box()) {
    promised_ = highest_in_box();
  }
  // The program may also be beyond what doubles can tell.
  if (promised_.at.empty()) return {};
  if (promised_.height - best_ < least_gain / unit_) return {};
  std::vector<double> prices(all_rows_.size(), 0.0);
  for (size_t k = 0; k < rows_.size(); ++k) {
    prices[rows_[k]] = promised_.at[k] / factors_[k];
  }
  return prices;
}

std::vector<double> PriceCuts::weights() const {
  MixedIntegerProgram program;
  const int one = program.add_row(1.0, 1.0);
  std::vector<int> rows;
  for (size_t k = 0; k < rows_.size(); ++k) {
    rows.push_back(program.add_row(-kInfinity, 0.0));
    // What breaks a limit costs as much as it may in the box.
    const int excess =
        program.add_column(center_[k] + radius_[k], kInfinity, false);
    program.add_term(rows[k], excess, -1.0);
  }
  double least = kInfinity;
  for (const Cut& cut : cuts_) least = std::min(least, cut.height);
  std::vector<int> columns;
  for (const Cut& cut : cuts_) {
    columns.push_back(program.add_column(cut.height - least, 1.0, false));
    program.add_term(one, columns.back(), 1.0);
    for (size_t k = 0; k < rows_.size(); ++k) {
      program.add_term(rows[k], columns.back(), cut.slopes[k]);
    }
  }
  const std::vector<double> values = program.solve_linear();
  std::vector<double> weights(cuts_.size(), 0.0);
  if (values.empty()) {
    weights.back() = 1.0;
    return weights;
  }
  for (size_t c = 0; c < cuts_.size(); ++c) {
    weights[c] = values[static_cast<size_t>(columns[c])];
  }
  return weights;
}

}  // namespace tessera::planner
