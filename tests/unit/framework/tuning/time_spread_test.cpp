// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/time_spread.hpp"

#include <gtest/gtest.h>

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
