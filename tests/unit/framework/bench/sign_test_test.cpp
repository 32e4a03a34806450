// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/statistics/sign_test.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera::bench {
namespace {

// Counted by hand from Pascal's triangle.
TEST(FairCoins, FollowPascalsTriangle) {
  EXPECT_DOUBLE_EQ(fair_coin_cdf(0, 0), 1.0);
  EXPECT_NEAR(fair_coin_cdf(4, 0), 1.0 / 16.0, 1e-12);
  EXPECT_NEAR(fair_coin_cdf(4, 1), 5.0 / 16.0, 1e-12);
  EXPECT_NEAR(fair_coin_cdf(12, 2), (1.0 + 12.0 + 66.0) / 4096.0, 1e-12);
  EXPECT_NEAR(fair_coin_cdf(12, 12), 1.0, 1e-12);
}

TEST(SignTest, CountsRatiosBelowOne) {
  EXPECT_NEAR(below_one_p(std::vector<double>{0.9, 0.8, 0.99, 0.5}), 1.0 / 16.0,
              1e-12);
  EXPECT_NEAR(below_one_p(std::vector<double>{0.9, 1.1, 0.99, 0.5}), 5.0 / 16.0,
              1e-12);
  EXPECT_NEAR(below_one_p(std::vector<double>{1.2, 1.1}), 1.0, 1e-12);
}

TEST(SignTest, TakesNothingFromEqualTimes) {
  EXPECT_NEAR(below_one_p(std::vector<double>{1.0, 0.9, 1.0}), 0.5, 1e-12);
  EXPECT_DOUBLE_EQ(below_one_p(std::vector<double>{1.0, 1.0}), 1.0);
  EXPECT_DOUBLE_EQ(below_one_p({}), 1.0);
}

}  // namespace
}  // namespace tessera::bench
