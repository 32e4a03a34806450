// SPDX-License-Identifier: Apache-2.0

#include "framework/eval/agreement.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tessera {
namespace {

using Logits = std::vector<float>;

TEST(Agreement, OfTheOracleWithItselfIsWhole) {
  const Logits up = {1.0f, 2.0f, 0.0f};
  const Logits down = {1.0f, 2.125f, 0.0f};
  AgreementSums sums;
  sums.add({up, up, up, down});
  const Agreement agreement = sums.result();
  EXPECT_EQ(agreement.kl_between, 0.0);
  EXPECT_GT(agreement.kl_order_floor, 0.0);
  EXPECT_EQ(agreement.decided_share, 1.0);
  EXPECT_TRUE(agreement.agrees());
}

// The orders differ by 0.25 somewhere, so a margin of 0.5 decides nothing and
// one of 0.625 does, at every position.
TEST(Agreement, DecidesBeyondTwiceTheLargestDifferenceOfAnyPosition) {
  const Logits apart = {0.0f, 3.0f};
  const Logits apart_down = {0.25f, 3.0f};
  const Logits close = {1.0f, 1.5f};
  const Logits close_swapped = {1.5f, 1.0f};
  AgreementSums sums;
  sums.add({close, close_swapped, close, close});
  sums.add({apart, apart, apart, apart_down});
  EXPECT_EQ(sums.result().decided_share, 0.5);
  EXPECT_EQ(sums.result().argmax_agreement, 1.0);

  const Logits wider = {1.0f, 1.625f};
  sums.add({wider, close_swapped, wider, wider});
  EXPECT_DOUBLE_EQ(sums.result().decided_share, 2.0 / 3.0);
  EXPECT_EQ(sums.result().argmax_agreement, 0.5);
  EXPECT_FALSE(sums.result().agrees());
}

TEST(Agreement, FailsBeyondTwiceTheFloor) {
  const Logits up = {0.0f, 9.0f};
  const Logits down = {0.0f, 9.001f};
  const Logits other = {0.0f, 8.0f};
  AgreementSums sums;
  sums.add({up, other, up, down});
  EXPECT_EQ(sums.result().argmax_agreement, 1.0);
  EXPECT_FALSE(sums.result().agrees());
}

}  // namespace
}  // namespace tessera
