// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/time_spread.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

TEST(TimeSpread, ALoudMinuteDoesNotStick) {
  const SpreadTime quiet = quiet_time({100, 100, 100, 100, 100});
  EXPECT_EQ(quiet.ns, 100.0);
  const SpreadTime loud = quiet_time({100, 300, 300, 100, 300});
  EXPECT_EQ(loud.ns, 100.0) << "three of five rounds were loud";
  EXPECT_EQ(quiet_time({300, 300, 100, 300, 300}).ns, 300.0)
      << "one short round may be a mistake";
  EXPECT_FALSE(is_busy(quiet.spread));
  EXPECT_TRUE(is_busy(loud.spread));
}

TEST(TimeSpread, IsOfTheShortestAndTheMiddleRound) {
  const SpreadTime found = quiet_time({130, 90, 100, 120, 110});
  EXPECT_EQ(found.ns, 100.0);
  EXPECT_EQ(found.spread.low, 0.9);
  EXPECT_EQ(found.spread.high, 1.1);
  EXPECT_EQ(quiet_time({7}).ns, 7.0);
  EXPECT_EQ(quiet_time({}).ns, 0.0);
  EXPECT_EQ(quiet_time({0, 0}).ns, 0.0) << "a clock that stands still";
}

using Which = std::vector<size_t>;

TEST(RoundsThatCount, AreTheQuietestOnlyBesideOthers) {
  const std::vector<double> rounds{5, 1, 4, 2, 3, 9, 8, 7, 6};
  EXPECT_EQ(rounds_that_count({rounds}, true), (Which{1, 3, 4}));
  EXPECT_EQ(rounds_that_count({rounds}, false), (Which{2, 0, 8}));
  EXPECT_EQ(rounds_that_count({{7}}, true), (Which{0}));
  EXPECT_EQ(rounds_that_count({{7}}, false), (Which{0}));
  EXPECT_TRUE(rounds_that_count({}, false).empty());
  EXPECT_TRUE(rounds_that_count({{}}, false).empty());
}

// One is quick where the other is slow, and the third round is good for both,
// though best for neither.
TEST(RoundsThatCount, AreTheSameForAll) {
  const std::vector<std::vector<double>> both{{10, 30, 12, 30, 30},
                                              {300, 100, 120, 300, 300}};
  EXPECT_EQ(rounds_that_count(both, true).front(), 2U);
}

TEST(RoundsThatCount, CountAlikeWhateverTheyLast) {
  const std::vector<std::vector<double>> both{{1, 2, 2, 2, 2},
                                              {2000, 1900, 2000, 2000, 2000}};
  EXPECT_EQ(rounds_that_count(both, true).front(), 0U)
      << "half of one is more than a twentieth of the other";
}

TEST(RoundsThatCount, GiveTheirMean) {
  const SpreadTime found = time_in({0, 3}, {10, 90, 8, 30, 40});
  EXPECT_EQ(found.ns, 20.0);
  EXPECT_EQ(found.spread.low, 0.4) << "of the shortest of all rounds";
  EXPECT_EQ(found.spread.high, 1.5) << "of the middle one";
  EXPECT_EQ(time_in({}, {1, 2}).ns, 0.0);
}

TEST(TimeSpread, DriftIsBeyondBothSpreads) {
  const SpreadTime narrow{100, {0.99, 1.01}};
  const SpreadTime wide{100, {0.8, 1.3}};
  const SpreadTime later{120, {0.99, 1.01}};
  EXPECT_TRUE(has_drifted(narrow, later));
  EXPECT_TRUE(has_drifted(later, narrow)) << "a faster machine is another too";
  EXPECT_FALSE(has_drifted(wide, later)) << "120 was seen then";
  EXPECT_FALSE(has_drifted(later, wide));
  EXPECT_FALSE(has_drifted(narrow, {103, {0.99, 1.01}}))
      << "as two quiet runs may differ";
  EXPECT_FALSE(has_drifted({}, {}));
}

}  // namespace
}  // namespace tessera
