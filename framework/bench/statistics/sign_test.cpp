// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/sign_test.hpp"

#include <algorithm>
#include <cmath>

namespace tessera::bench {

double fair_coin_cdf(size_t tosses, size_t heads) {
  const auto log_factorial = [](size_t i) {
    return std::lgamma(static_cast<double>(i) + 1.0);
  };
  double sum = 0.0;
  for (size_t i = 0; i <= heads; ++i) {
    sum += std::exp(log_factorial(tosses) - log_factorial(i) -
                    log_factorial(tosses - i) -
                    static_cast<double>(tosses) * std::log(2.0));
  }
  return sum;
}

double below_one_p(std::span<const double> ratios) {
  const auto below = static_cast<size_t>(std::count_if(
      ratios.begin(), ratios.end(), [](double ratio) { return ratio < 1.0; }));
  const auto above = static_cast<size_t>(std::count_if(
      ratios.begin(), ratios.end(), [](double ratio) { return ratio > 1.0; }));
  return std::min(1.0, fair_coin_cdf(below + above, above));
}

}  // namespace tessera::bench
