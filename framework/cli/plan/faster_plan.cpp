// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/plan/faster_plan.hpp"

#include <algorithm>

#include "framework/bench/statistics/compare_samples.hpp"
#include "framework/bench/statistics/sign_test.hpp"

namespace tessera::cli {
namespace {

// Of all plans together: wrong in so many races where none is faster.
constexpr double kAlpha = 0.05;

// As far behind the best, and no plan stays for want of proof.
constexpr double kFarBehind = 0.03;
constexpr size_t kLeastLoads = 3;

}  // namespace

std::vector<size_t> faster_beyond_chance(
    const std::vector<std::vector<double>>& ratios) {
  std::vector<double> p;
  std::vector<double> medians;
  for (const std::vector<double>& of_plan : ratios) {
    p.push_back(bench::below_one_p(of_plan));
    medians.push_back(bench::quantile_of(of_plan, 0.5));
  }
  const std::vector<double> adjusted = bench::holm_adjusted(p);
  std::vector<size_t> faster;
  for (size_t i = 0; i < ratios.size(); ++i) {
    if (adjusted[i] < kAlpha) faster.push_back(i);
  }
  std::stable_sort(faster.begin(), faster.end(),
                   [&](size_t a, size_t b) { return medians[a] < medians[b]; });
  return faster;
}

bool gives_way(std::span<const double> ratios,
               const std::optional<bench::MedianInterval>& known) {
  if (known && known->high < 1.0) return true;
  return ratios.size() >= kLeastLoads &&
         bench::quantile_of(ratios, 0.5) < 1.0 - kFarBehind;
}

}  // namespace tessera::cli
