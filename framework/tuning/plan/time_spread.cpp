// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/time_spread.hpp"

#include <algorithm>

namespace tessera {
namespace {

// The middle round over the shortest one.
constexpr double kBusy = 1.15;
// Between the spreads of two runs on a quiet machine.
constexpr double kSlack = 1.03;

}  // namespace

SpreadTime quiet_time(std::vector<double> rounds) {
  if (rounds.empty()) return {};
  std::sort(rounds.begin(), rounds.end());
  const double ns = rounds[(rounds.size() - 1) / 4];
  if (ns <= 0.0) return {};
  return {ns, {rounds.front() / ns, rounds[rounds.size() / 2] / ns}};
}

bool is_busy(const TimeSpread& spread) {
  return spread.high > kBusy * spread.low;
}

bool has_drifted(const SpreadTime& before, const SpreadTime& now) {
  return now.ns * now.spread.low > kSlack * before.ns * before.spread.high ||
         before.ns * before.spread.low > kSlack * now.ns * now.spread.high;
}

}  // namespace tessera
