// SPDX-License-Identifier: Apache-2.0
//
// A Parallel for tests: fresh threads that take the tasks from the last to the
// first, so that a result that depends on threads or order shows.

#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "backends/cpu/kernels/parallel.hpp"

namespace tessera::cpu {

inline void run_backwards(void* context, uint32_t num_tasks,
                          void (*task)(void* context, uint32_t index),
                          void* task_context) {
  const uint32_t num_threads = *static_cast<const uint32_t*>(context);
  std::atomic<uint32_t> left = num_tasks;
  const auto work = [&] {
    for (uint32_t n = left.load(); n > 0;) {
      if (left.compare_exchange_weak(n, n - 1)) {
        task(task_context, n - 1);
        n = left.load();
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t i = 1; i < num_threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

class TestThreads {
 public:
  explicit TestThreads(uint32_t num_threads) : num_threads_(num_threads) {}
  TestThreads(const TestThreads&) = delete;
  TestThreads& operator=(const TestThreads&) = delete;

  const Parallel& parallel() const { return parallel_; }

 private:
  uint32_t num_threads_;
  Parallel parallel_{num_threads_, &num_threads_, run_backwards};
};

}  // namespace tessera::cpu
