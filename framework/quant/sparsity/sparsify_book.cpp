// SPDX-License-Identifier: Apache-2.0
//
// k-means on a histogram, so that its cost does not depend on the tile.

#include "framework/quant/sparsity/sparsify_book.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tessera::quant {
namespace {

constexpr int kIterations = 12;
constexpr int kUniformStep = 7;

float ratio_of(size_t bin) {
  return (static_cast<float>(bin) - static_cast<float>(kMaxBin)) /
         static_cast<float>(kBinsPerCode);
}

}  // namespace

size_t book_bin(float ratio) {
  const float limit = static_cast<float>(kMaxBin);
  const float bin =
      std::clamp(ratio * static_cast<float>(kBinsPerCode), -limit, limit);
  return static_cast<size_t>(round_small(bin) + limit);
}

LevelBook::LevelBook() : prices_(kNumLevels, 0.0f) {
  for (int i = -7; i <= 7; ++i) {
    levels_.push_back(static_cast<float>(i * kUniformStep));
  }
  assign_bins();
}

void LevelBook::learn(const BookHistogram& histogram, double rate_weight) {
  for (int i = 0; i < kIterations; ++i) {
    std::vector<double> count(levels_.size());
    std::vector<double> weight(levels_.size());
    std::vector<double> moment(levels_.size());
    for (size_t bin = 0; bin < kNumBins; ++bin) {
      const size_t level = level_of_bin_[bin];
      count[level] += histogram.count[bin];
      weight[level] += histogram.weight[bin];
      moment[level] += histogram.weight[bin] * double{ratio_of(bin)};
    }
    for (size_t level = 0; level < levels_.size(); ++level) {
      if (weight[level] <= 0.0) continue;
      levels_[level] = static_cast<float>(moment[level] / weight[level]);
    }
    std::sort(levels_.begin(), levels_.end());
    set_prices(count, rate_weight);
    assign_bins();
  }
}

void LevelBook::set_prices(const std::vector<double>& counts,
                           double rate_weight) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double step = double{levels_.back() - levels_.front()} /
                      static_cast<double>(kNumLevels - 1);
  for (size_t level = 0; level < levels_.size(); ++level) {
    // Half a count more, so that an empty level keeps a finite price.
    const double share =
        (counts[level] + 0.5) / (total + 0.5 * static_cast<double>(kNumLevels));
    prices_[level] =
        static_cast<float>(-rate_weight * std::log2(share) * step * step);
  }
}

void LevelBook::round_levels() {
  std::vector<float> levels;
  std::vector<float> prices;
  for (size_t i = 0; i < levels_.size(); ++i) {
    const float level = std::nearbyint(std::clamp(levels_[i], -127.0f, 127.0f));
    if (!levels.empty() && levels.back() == level) continue;
    levels.push_back(level);
    prices.push_back(prices_[i]);
  }
  levels_ = std::move(levels);
  prices_ = std::move(prices);
  assign_bins();
}

void LevelBook::assign_bins() {
  for (size_t bin = 0; bin < kNumBins; ++bin) {
    const float ratio = ratio_of(bin);
    float least = 0.0f;
    for (size_t level = 0; level < levels_.size(); ++level) {
      const float miss = ratio - levels_[level];
      const float cost = miss * miss + prices_[level];
      if (level > 0 && cost >= least) continue;
      least = cost;
      level_of_bin_[bin] = static_cast<uint8_t>(level);
    }
  }
}

}  // namespace tessera::quant
