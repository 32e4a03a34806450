// SPDX-License-Identifier: Apache-2.0
//
// Grids and walks over clipping ranges.

#include "framework/quant/activations/range_search.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace tessera::quant {
namespace {

constexpr int kGridSteps = 100;

double error_of(const Histogram& seen, ActivationCodes codes,
                ValueRange range) {
  return static_error(seen,
                      static_activation(codes, static_cast<float>(range.min),
                                        static_cast<float>(range.max)));
}

// The best of ranges made from shares 1, 0.99 .. 0.01 of something; the largest
// share wins a tie.
template <typename MakeRange>
ValueRange best_share(const Histogram& seen, ActivationCodes codes,
                      const MakeRange& make_range) {
  ValueRange best = make_range(1.0);
  double best_error = error_of(seen, codes, best);
  for (int step = kGridSteps - 1; step > 0; --step) {
    const ValueRange tried = make_range(double{1} * step / kGridSteps);
    const double error = error_of(seen, codes, tried);
    if (error < best_error) {
      best = tried;
      best_error = error;
    }
  }
  return best;
}

// Bins of a histogram of magnitudes, first from zero.
std::vector<double> magnitude_counts(const Histogram& seen) {
  constexpr uint32_t kHalf = Histogram::kBins / 2;
  std::vector<double> counts(kHalf);
  for (uint32_t i = 0; i < kHalf; ++i) {
    counts[i] =
        static_cast<double>(seen.count(kHalf + i) + seen.count(kHalf - 1 - i));
  }
  while (!counts.empty() && counts.back() == 0.0) counts.pop_back();
  return counts;
}

// KL(P || Q) for a limit of `size` bins: P has all that is beyond the limit in
// its last bin, Q has `levels` equal pieces spread over their occupied bins.
double clipped_divergence(const std::vector<double>& counts, size_t size,
                          size_t levels) {
  double outside = 0.0;
  for (size_t i = size; i < counts.size(); ++i) outside += counts[i];
  double inside = 0.0;
  for (size_t i = 0; i < size; ++i) inside += counts[i];
  if (inside == 0.0) return std::numeric_limits<double>::infinity();

  double divergence = 0.0;
  for (size_t level = 0; level < levels; ++level) {
    const size_t begin = level * size / levels;
    const size_t end = (level + 1) * size / levels;
    double sum = 0.0;
    double occupied = 0.0;
    for (size_t i = begin; i < end; ++i) {
      sum += counts[i];
      occupied += counts[i] > 0.0 ? 1.0 : 0.0;
    }
    for (size_t i = begin; i < end; ++i) {
      const double p =
          (counts[i] + (i + 1 == size ? outside : 0.0)) / (inside + outside);
      if (p == 0.0) continue;
      // Only the last bin can hold outliers alone; then Q misses them.
      const double q = counts[i] > 0.0 ? sum / occupied / inside : 1e-12;
      divergence += p * std::log(p / q);
    }
  }
  return divergence;
}

}  // namespace

ValueRange search_grid(const Histogram& seen, ActivationCodes codes,
                       ValueRange whole) {
  ValueRange best = best_share(seen, codes, [&](double share) {
    return ValueRange{whole.min * share, whole.max * share};
  });
  if (codes == ActivationCodes::kSymmetricS8) return best;
  best = best_share(seen, codes, [&](double share) {
    return ValueRange{whole.min * share, best.max};
  });
  return best_share(seen, codes, [&](double share) {
    return ValueRange{best.min, whole.max * share};
  });
}

ValueRange search_tails(const Histogram& seen, ActivationCodes codes,
                        ValueRange whole) {
  constexpr double kStep = 1e-5;
  const bool symmetric = codes == ActivationCodes::kSymmetricS8;
  double low_share = 0.0;   // cut off below
  double high_share = 0.0;  // cut off above
  ValueRange best = whole;
  double best_error = error_of(seen, codes, whole);
  while (low_share + high_share < 1.0 - kStep) {
    ValueRange tried = best;
    if (symmetric) {
      high_share += kStep;
      const double limit = seen.quantile_of_magnitude(1.0 - high_share);
      tried = {std::max(whole.min, -limit), std::min(whole.max, limit)};
    } else {
      const double low = std::max(best.min, seen.quantile(low_share + kStep));
      const double high =
          std::min(best.max, seen.quantile(1.0 - high_share - kStep));
      if (low - best.min > best.max - high) {
        tried.min = low;
        low_share += kStep;
      } else {
        tried.max = high;
        high_share += kStep;
      }
    }
    const double error = error_of(seen, codes, tried);
    if (error > best_error) break;
    best = tried;
    best_error = error;
  }
  return best;
}

ValueRange search_entropy(const Histogram& seen) {
  constexpr size_t kLevels = 128;
  const std::vector<double> counts = magnitude_counts(seen);
  size_t best = counts.size();
  double best_divergence = std::numeric_limits<double>::infinity();
  for (size_t size = std::min(kLevels, counts.size()); size <= counts.size();
       size += std::max<size_t>(1, counts.size() / 512)) {
    const double divergence = clipped_divergence(counts, size, kLevels);
    if (divergence < best_divergence) {
      best = size;
      best_divergence = divergence;
    }
  }
  const double limit = static_cast<double>(best) * seen.width();
  return {-limit, limit};
}

}  // namespace tessera::quant
