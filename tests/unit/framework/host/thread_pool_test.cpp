// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/thread_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace tessera {
namespace {

struct Counts {
  explicit Counts(uint32_t size)
      : calls(std::make_unique<std::atomic<uint32_t>[]>(size)) {}
  std::unique_ptr<std::atomic<uint32_t>[]> calls;
};

void count_call(void* context, uint32_t index) {
  static_cast<Counts*>(context)->calls[index].fetch_add(1);
}

class ThreadPoolOf : public testing::TestWithParam<uint32_t> {};

TEST_P(ThreadPoolOf, CallsEachIndexOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.num_threads(), GetParam());
  for (const uint32_t num_tasks : {0u, 1u, 2u, 3u, 7u, 1000u}) {
    Counts counts(num_tasks);
    pool.parallel_for(num_tasks, count_call, &counts);
    for (uint32_t i = 0; i < num_tasks; ++i) {
      ASSERT_EQ(counts.calls[i].load(), 1u) << i << " of " << num_tasks;
    }
  }
}

// The second call may begin while workers leave the first.
TEST_P(ThreadPoolOf, CallsInARowDoNotMix) {
  ThreadPool pool(GetParam());
  struct Sum {
    std::vector<uint64_t> values;
  };
  Sum sum{std::vector<uint64_t>(3)};
  const auto add = [](void* context, uint32_t index) {
    static_cast<Sum*>(context)->values[index] += index + 1;
  };
  constexpr uint64_t kRounds = 5000;
  for (uint64_t round = 0; round < kRounds; ++round) {
    pool.parallel_for(3, add, &sum);
  }
  EXPECT_EQ(sum.values,
            (std::vector<uint64_t>{kRounds, 2 * kRounds, 3 * kRounds}));
}

TEST_P(ThreadPoolOf, WorkersWakeAfterSleep) {
  ThreadPool pool(GetParam());
  for (uint32_t round = 0; round < 3; ++round) {
    // Longer than workers spin, so that they sleep.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Counts counts(64);
    pool.parallel_for(64, count_call, &counts);
    for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(counts.calls[i].load(), 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolOf, testing::Values(1, 2, 3, 8));

TEST(ThreadPool, TakesOneThreadPerCoreIfNotToldOtherwise) {
  EXPECT_EQ(ThreadPool().num_threads(), available_cores());
}

TEST(ThreadPool, NestedCallsRunInTheTask) {
  ThreadPool pool(3);
  struct Nest {
    ThreadPool* pool;
    Counts counts{8 * 8};
  };
  struct Inner {
    Nest* nest;
    uint32_t row;
  };
  Nest nest{&pool};
  const auto outer = [](void* context, uint32_t row) {
    Inner inner{static_cast<Nest*>(context), row};
    const auto task = [](void* inner_context, uint32_t column) {
      const Inner& self = *static_cast<Inner*>(inner_context);
      count_call(&self.nest->counts, self.row * 8 + column);
    };
    inner.nest->pool->parallel_for(8, task, &inner);
  };
  pool.parallel_for(8, outer, &nest);
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(nest.counts.calls[i].load(), 1u);
}

TEST(ThreadPool, ServesSeveralHostThreads) {
  ThreadPool pool(3);
  std::vector<std::thread> threads;
  std::atomic<uint64_t> calls{0};
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto count = [](void* context, uint32_t) {
        static_cast<std::atomic<uint64_t>*>(context)->fetch_add(1);
      };
      for (int round = 0; round < 500; ++round) {
        pool.parallel_for(9, count, &calls);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls.load(), 4u * 500u * 9u);
}

}  // namespace
}  // namespace tessera
