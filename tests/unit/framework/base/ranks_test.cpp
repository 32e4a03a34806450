// SPDX-License-Identifier: Apache-2.0

#include "framework/base/ranks.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

std::vector<double> ranks(const std::vector<double>& values) {
  return ranks_of(values);
}

TEST(Ranks, CountFromOneInTheOrderOfTheValues) {
  EXPECT_EQ(ranks({7.0, -1.0, 8.5}), (std::vector<double>{2, 1, 3}));
  EXPECT_EQ(ranks({}), std::vector<double>{});
}

TEST(Ranks, OfEqualValuesAreTheirMean) {
  EXPECT_EQ(ranks({3, 1, 3, 2}), (std::vector<double>{3.5, 1, 3.5, 2}));
  EXPECT_EQ(ranks({5, 5, 5}), (std::vector<double>{2, 2, 2}));
}

}  // namespace
}  // namespace tessera
