// SPDX-License-Identifier: Apache-2.0
//
// Shares of bandwidth: never more than there is, never less than fair.

#include "backends/npu_sim/machine/arbiter.hpp"

#include <gtest/gtest.h>

#include <random>

namespace tessera::npu {
namespace {

TEST(Arbiter, LoneTransferMovesAtItsOwnRate) {
  Arbiter arbiter(100, 0);
  arbiter.start({640, 32, 1, 7}, 10);
  EXPECT_DOUBLE_EQ(arbiter.next_end(), 30);
  EXPECT_EQ(arbiter.finish_next(), 7);
  EXPECT_TRUE(arbiter.is_idle());
}

TEST(Arbiter, EqualTransfersShareDramEvenly) {
  Arbiter arbiter(30, 0);
  for (int i = 0; i < 3; ++i) arbiter.start({100, 32, 1, i}, 0);
  EXPECT_DOUBLE_EQ(arbiter.next_end(), 10);
}

TEST(Arbiter, WhatOneCannotTakeGoesToTheOthers) {
  Arbiter arbiter(30, 0);
  arbiter.start({1000, 4, 1, 0}, 0);
  arbiter.start({130, 32, 1, 1}, 0);
  arbiter.start({130, 32, 1, 2}, 0);
  EXPECT_DOUBLE_EQ(arbiter.next_end(), 10);
}

TEST(Arbiter, HitsDoNotWaitForDram) {
  Arbiter arbiter(8, 0);
  arbiter.start({1000, 32, 1, 0}, 0);
  arbiter.start({320, 32, 0, 1}, 0);
  EXPECT_DOUBLE_EQ(arbiter.next_end(), 10);
  EXPECT_EQ(arbiter.finish_next(), 1);
}

TEST(Arbiter, BandwidthIsConservedUnderRandomTraffic) {
  constexpr double kDram = 500;
  constexpr double kL2 = 900;
  Arbiter arbiter(kDram, kL2);
  std::mt19937 rng(42);
  std::uniform_real_distribution<double> uniform(0, 1);
  double now = 0;
  double dram_bytes = 0;
  double all_bytes = 0;
  int started = 0;
  while (started < 2000 || !arbiter.is_idle()) {
    EXPECT_LE(arbiter.dram_use(), kDram * (1 + 1e-9));
    EXPECT_LE(arbiter.total_rate(), kL2 * (1 + 1e-9));
    const double next = now + 3 * uniform(rng);
    if (started < 2000 && (arbiter.is_idle() || next < arbiter.next_end())) {
      now = next;
      const double bytes = 1 + 4096 * uniform(rng);
      const double share = uniform(rng);
      arbiter.start({bytes, 10 + 100 * uniform(rng), share, started++}, now);
      dram_bytes += bytes * share;
      all_bytes += bytes;
    } else {
      EXPECT_GE(arbiter.next_end(), now - 1e-6);
      now = arbiter.next_end();
      arbiter.finish_next();
    }
  }
  // No faster than the sum of bytes over each limit.
  EXPECT_GE(now * (1 + 1e-9), dram_bytes / kDram);
  EXPECT_GE(now * (1 + 1e-9), all_bytes / kL2);
}

}  // namespace
}  // namespace tessera::npu
