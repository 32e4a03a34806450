// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/time_spread.hpp"

#include <algorithm>
#include <numeric>

namespace tessera {
namespace {

// The middle round over the shortest one.
constexpr double kBusy = 1.15;
// Between the spreads of two runs on a quiet machine.
constexpr double kSlack = 1.03;

double middle_of(std::vector<double> rounds) {
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

}  // namespace

SpreadTime quiet_time(std::vector<double> rounds) {
  if (rounds.empty()) return {};
  std::sort(rounds.begin(), rounds.end());
  const double ns = rounds[(rounds.size() - 1) / 4];
  if (ns <= 0.0) return {};
  return {ns, {rounds.front() / ns, rounds[rounds.size() / 2] / ns}};
}

std::vector<size_t> rounds_that_count(
    const std::vector<std::vector<double>>& of_things, bool others_ran) {
  if (of_things.empty() || of_things.front().empty()) return {};
  std::vector<double> sums(of_things.front().size());
  for (const std::vector<double>& rounds : of_things) {
    const double middle = middle_of(rounds);
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] += middle > 0.0 ? rounds[i] / middle : 0.0;
    }
  }
  std::vector<size_t> order(sums.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sums[a] < sums[b]; });
  const size_t count = (order.size() - 1) / 4 + 1;
  const size_t first = others_ran ? 0 : (order.size() - count) / 2;
  const auto begin = order.begin() + static_cast<ptrdiff_t>(first);
  return {begin, begin + static_cast<ptrdiff_t>(count)};
}

SpreadTime time_in(const std::vector<size_t>& which,
                   const std::vector<double>& rounds) {
  double ns = 0.0;
  for (const size_t round : which) ns += rounds[round];
  if (ns <= 0.0) return {};
  ns /= static_cast<double>(which.size());
  const double least = *std::min_element(rounds.begin(), rounds.end());
  return {ns, {least / ns, middle_of(rounds) / ns}};
}

bool is_busy(const TimeSpread& spread) {
  return spread.high > kBusy * spread.low;
}

bool has_drifted(const SpreadTime& before, const SpreadTime& now) {
  return now.ns * now.spread.low > kSlack * before.ns * before.spread.high ||
         before.ns * before.spread.low > kSlack * now.ns * now.spread.high;
}

}  // namespace tessera
