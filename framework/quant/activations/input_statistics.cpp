// SPDX-License-Identifier: Apache-2.0
//
// Sums of columns in f64, sums of products tile by tile in f32.

#include "framework/quant/activations/input_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "framework/quant/algebra/dense_product.hpp"

namespace tessera::quant {
namespace {

// Keeps the Hessian below 2^32 elements, past any model's width.
constexpr uint32_t kMaxColumns = 1U << 16;

// Rows of one f32 partial sum: enough for the product to be compute-bound.
constexpr uint32_t kFlushRows = 256;

// Side of a tile of the Hessian that one task adds to.
constexpr uint32_t kTile = 256;

}  // namespace

std::vector<float> ColumnStatistics::mean_abs() const {
  std::vector<float> mean(sum_abs.size(), 0.0f);
  if (num_rows == 0) return mean;
  for (size_t k = 0; k < mean.size(); ++k) {
    mean[k] = static_cast<float>(sum_abs[k] / static_cast<double>(num_rows));
  }
  return mean;
}

Result<InputStatistics> InputStatistics::create(uint32_t K, bool with_hessian) {
  if (K == 0 || K > kMaxColumns) {
    return Status(TSR_INVALID_ARGUMENT,
                  "statistics of K=" + std::to_string(K) + " columns");
  }
  return InputStatistics(K, with_hessian);
}

InputStatistics::InputStatistics(uint32_t K, bool with_hessian)
    : K_(K), with_hessian_(with_hessian) {
  columns_.abs_max.assign(K, 0.0f);
  columns_.min.assign(K, std::numeric_limits<float>::infinity());
  columns_.max.assign(K, -std::numeric_limits<float>::infinity());
  columns_.sum.assign(K, 0.0);
  columns_.sum_abs.assign(K, 0.0);
  columns_.sum_squares.assign(K, 0.0);
}

Status InputStatistics::check(std::span<const float> rows) const {
  if (rows.size() % K_ != 0) {
    return Status(TSR_INVALID_ARGUMENT,
                  std::to_string(rows.size()) +
                      " activations are no rows of K=" + std::to_string(K_));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::isfinite(rows[i])) continue;
    return Status(TSR_INVALID_ARGUMENT,
                  "activation row " +
                      std::to_string(columns_.num_rows + i / K_) + ": column " +
                      std::to_string(i % K_) + " is " +
                      (std::isnan(rows[i]) ? "NaN" : "infinite"));
  }
  return {};
}

Status InputStatistics::add(std::span<const float> rows,
                            const ParallelFor& run) {
  TSR_RETURN_IF_ERROR(check(rows));
  for (size_t begin = 0; begin < rows.size(); begin += K_) {
    const auto row = rows.subspan(begin, K_);
    add_row(row);
    if (!with_hessian_) continue;
    pending_.insert(pending_.end(), row.begin(), row.end());
    if (pending_.size() == size_t{kFlushRows} * K_) flush(run);
  }
  return {};
}

void InputStatistics::add_row(std::span<const float> row) {
  ++columns_.num_rows;
  for (size_t k = 0; k < row.size(); ++k) {
    const float value = row[k];
    const float magnitude = std::fabs(value);
    columns_.abs_max[k] = std::max(columns_.abs_max[k], magnitude);
    columns_.min[k] = std::min(columns_.min[k], value);
    columns_.max[k] = std::max(columns_.max[k], value);
    columns_.sum[k] += double{value};
    columns_.sum_abs[k] += double{magnitude};
    columns_.sum_squares[k] += double{value} * double{value};
  }
}

void InputStatistics::flush(const ParallelFor& run) {
  if (products_.empty()) products_.assign(size_t{K_} * K_, 0.0f);
  const uint64_t num_rows = pending_.size() / K_;
  const uint32_t side = num_pieces(K_, kTile);
  run(side * side, [&](uint32_t task) {
    const uint32_t row = task / side * kTile;
    const uint32_t col = task % side * kTile;
    if (col > row) return;
    add_product({std::min(kTile, K_ - row), std::min(kTile, K_ - col), num_rows,
                 1.0f, MatrixRef{pending_.data() + row, K_, true},
                 MatrixRef{pending_.data() + col, K_},
                 products_.data() + size_t{row} * K_ + col, K_});
  });
  pending_.clear();
}

Result<Hessian> InputStatistics::take_hessian(const ParallelFor& run) && {
  if (!with_hessian_) {
    return Status(TSR_FAILED_PRECONDITION, "no hessian was collected");
  }
  if (columns_.num_rows == 0) {
    return Status(TSR_FAILED_PRECONDITION,
                  "no hessian: the calibration set gave no activations");
  }
  if (!pending_.empty()) flush(run);
  pending_ = {};
  with_hessian_ = false;
  const auto factor =
      static_cast<float>(2.0 / static_cast<double>(columns_.num_rows));
  for (size_t i = 0; i < K_; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      const float value = products_[i * K_ + j] * factor;
      products_[i * K_ + j] = value;
      products_[j * K_ + i] = value;
    }
  }
  return Hessian{K_, std::move(products_)};
}

}  // namespace tessera::quant
