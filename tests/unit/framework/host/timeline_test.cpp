// SPDX-License-Identifier: Apache-2.0

#include "framework/host/device/timeline.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "framework/host/device/timeline_cells.hpp"

namespace tessera {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

TEST(Timeline, AValueThatWasReachedNeedsNoWait) {
  Timeline timeline;
  timeline.signal(5);
  EXPECT_TRUE(timeline.wait(5, 0).ok());
  EXPECT_TRUE(timeline.wait(4, 0).ok());
  EXPECT_EQ(timeline.value(), 5u);
}

TEST(Timeline, AWaitEndsAtItsDeadline) {
  Timeline timeline;
  const Status status = timeline.wait(1, kMillisecond);
  EXPECT_EQ(status.code(), TSR_DEADLINE_EXCEEDED);
  EXPECT_EQ(status.message(), "timeline value 1: not reached in time");
}

TEST(Timeline, ASleepingWaiterIsWoken) {
  Timeline timeline;
  std::thread signaller([&] {
    // Longer than a waiter spins.
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    timeline.signal(1);
  });
  EXPECT_TRUE(timeline.wait(1).ok());
  signaller.join();
}

TEST(Timeline, ValuesOnlyGrow) {
  Timeline timeline;
  timeline.signal(9);
  timeline.signal(3);
  EXPECT_EQ(timeline.value(), 9u);
}

TEST(Timeline, AFailureEndsEveryWait) {
  Timeline timeline;
  std::thread watchdog([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    timeline.fail(TSR_DEADLINE_EXCEEDED);
  });
  const Status status = timeline.wait(7);
  watchdog.join();
  EXPECT_EQ(status.code(), TSR_DEADLINE_EXCEEDED);
  EXPECT_EQ(timeline.value(), UINT64_MAX);
  EXPECT_EQ(timeline.wait(UINT64_MAX - 1).code(), TSR_DEADLINE_EXCEEDED);
}

TEST(Timeline, TheFirstFailureStays) {
  Timeline timeline;
  timeline.fail(TSR_RESOURCE_EXHAUSTED);
  timeline.fail(TSR_INTERNAL);
  timeline.signal(4);
  EXPECT_EQ(timeline.status(), TSR_RESOURCE_EXHAUSTED);
  EXPECT_EQ(timeline.wait(4).message(),
            "timeline value 4: failed with RESOURCE_EXHAUSTED");
}

// What the signalling thread wrote is there when the wait returns.
TEST(Timeline, OrdersMemory) {
  Timeline there;
  Timeline back;
  uint64_t payload = 0;
  std::thread other([&] {
    for (uint64_t i = 1; i <= 2000; ++i) {
      ASSERT_TRUE(there.wait(i).ok());
      payload += 1;
      back.signal(i);
    }
  });
  for (uint64_t i = 1; i <= 2000; ++i) {
    payload += 1;
    there.signal(i);
    ASSERT_TRUE(back.wait(i).ok());
    ASSERT_EQ(payload, 2 * i);
  }
  other.join();
}

TEST(Timeline, ManyWaitersAreAllWoken) {
  Timeline timeline;
  std::vector<std::thread> waiters;
  std::atomic<int> woken{0};
  for (int i = 0; i < 8; ++i) {
    waiters.emplace_back([&, i] {
      if (timeline.wait(static_cast<uint64_t>(i) + 1).ok()) ++woken;
    });
  }
  for (uint64_t value = 1; value <= 8; ++value) timeline.signal(value);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(woken.load(), 8);
}

#if !defined(__SANITIZE_THREAD__)  // which does not follow a fork
TEST(Timeline, WorksAcrossProcesses) {
  Timeline timeline;
  tsr_timeline* cell = alloc_timeline_cell();
  ASSERT_NE(cell, nullptr);
  const pid_t child = fork();
  if (child == 0) {
    usleep(3000);
    signal_timeline(*cell, 2, TSR_OK);
    _exit(0);
  }
  EXPECT_EQ(wait_timeline(*cell, 2, UINT64_MAX), TSR_OK);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  free_timeline_cell(cell);
}
#endif

TEST(TimelineCells, ReportWhereTheyLie) {
  tsr_timeline* cell = alloc_timeline_cell();
  ASSERT_NE(cell, nullptr);
  TimelinePlace place;
  ASSERT_TRUE(find_timeline_cell(cell, &place));
  EXPECT_GE(place.fd, 0);
  EXPECT_EQ(place.offset % sizeof(tsr_timeline), 0u);
  EXPECT_LE(place.offset + sizeof(tsr_timeline), place.bytes);
  tsr_timeline elsewhere{};
  EXPECT_FALSE(find_timeline_cell(&elsewhere, &place));
  free_timeline_cell(cell);
}

}  // namespace
}  // namespace tessera
