// SPDX-License-Identifier: Apache-2.0
//
// Copying beside what computes: what of it counts as hidden, on made-up times,
// and that the thread that copies does so until it is stopped.

#include "framework/tuning/plan/host_copy.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace tessera {
namespace {

TEST(CopyOverlap, IsAllOfItWhereTheRunTakesNoLonger) {
  EXPECT_EQ(copy_overlap(100.0, 100.0, 40.0), 1.0);
  EXPECT_EQ(copy_overlap(100.0, 90.0, 40.0), 1.0);
}

TEST(CopyOverlap, IsLessByWhatTheRunTakesLonger) {
  EXPECT_DOUBLE_EQ(copy_overlap(100.0, 110.0, 40.0), 0.75);
  EXPECT_DOUBLE_EQ(copy_overlap(100.0, 140.0, 40.0), 0.0);
}

// A device that loses more than the copies take hides none of them.
TEST(CopyOverlap, IsNeverBelowNothing) {
  EXPECT_EQ(copy_overlap(100.0, 200.0, 40.0), 0.0);
}

TEST(CopyOverlap, IsNothingWhereNothingWasCopied) {
  EXPECT_EQ(copy_overlap(100.0, 100.0, 0.0), 0.0);
}

TEST(HostCopying, GoesOnUntilItIsStopped) {
  HostCopying copying(4096);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const uint64_t copies = copying.stop();
  EXPECT_GT(copies, 0U);
  EXPECT_EQ(copying.stop(), copies);
}

TEST(HostCopying, EndsWithItsOwner) { HostCopying copying(1 << 20); }

TEST(HostCopy, IsTimed) { EXPECT_GT(host_copy_ns(1 << 20), 0.0); }

}  // namespace
}  // namespace tessera
