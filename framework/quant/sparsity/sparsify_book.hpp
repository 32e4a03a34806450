// SPDX-License-Identifier: Apache-2.0
//
// The book of one tile: 15 levels, and which of them a weight goes to.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::quant {

// Weights are counted in units of their row's scale, at kBinsPerCode to a code.
inline constexpr int kBinsPerCode = 8;
inline constexpr int kMaxBin = 127 * kBinsPerCode;
inline constexpr size_t kNumBins = 2 * kMaxBin + 1;
inline constexpr size_t kNumLevels = 15;

// Rounds to the nearest integer, ties to even, of |x| < 2^22.  Adding 1.5 *
// 2^23 leaves no bits behind the point; std::nearbyint is a call.
inline float round_small(float x) { return (x + 12582912.0f) - 12582912.0f; }

// The bin of a weight that is `ratio` scales large.
size_t book_bin(float ratio);

struct BookHistogram {
  std::vector<double> count = std::vector<double>(kNumBins);
  std::vector<double> weight = std::vector<double>(kNumBins);  // of errors
};

// Levels ascend.  A weight goes to the level of least (ratio - level)^2 +
// price[level], where the price is that of the level's bits.
class LevelBook {
 public:
  // 7 * {-7 .. 7}, without prices.
  LevelBook();

  // Moves levels and prices to a local optimum.  `rate_weight`: the worth of a
  // bit in squared steps.
  // Source  Lloyd's iteration with prices: Chou et al., IEEE TASSP 37(1), 1989
  void learn(const BookHistogram& histogram, double rate_weight);

  // Levels become integers; their number may shrink.
  void round_levels();

  float level_of(size_t bin) const { return levels_[level_of_bin_[bin]]; }
  float price_of(size_t bin) const { return prices_[level_of_bin_[bin]]; }

 private:
  void assign_bins();
  void set_prices(const std::vector<double>& counts, double rate_weight);

  std::vector<float> levels_;
  std::vector<float> prices_;
  std::array<uint8_t, kNumBins> level_of_bin_;
};

}  // namespace tessera::quant
