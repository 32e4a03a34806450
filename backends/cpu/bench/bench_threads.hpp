// SPDX-License-Identifier: Apache-2.0
//
// Threads for benchmarks: a Parallel whose workers spin briefly, then sleep.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "backends/cpu/kernels/parallel.hpp"

namespace tessera::cpu {

class BenchThreads {
 public:
  explicit BenchThreads(uint32_t num_threads) {
    for (uint32_t i = 1; i < num_threads; ++i) {
      threads_.emplace_back([this] { serve(); });
    }
    parallel_ = {num_threads, this, run};
  }
  BenchThreads(const BenchThreads&) = delete;
  BenchThreads& operator=(const BenchThreads&) = delete;
  ~BenchThreads() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // All cores, or as many as CPU_BENCH_THREADS says: on a busy machine one
  // thread and the CPU column are what can be compared.
  static BenchThreads& all() {
    const char* wanted = std::getenv("CPU_BENCH_THREADS");
    static BenchThreads threads(
        wanted != nullptr
            ? static_cast<uint32_t>(std::max(1, std::atoi(wanted)))
            : std::max(1u, std::thread::hardware_concurrency()));
    return threads;
  }

  const Parallel& parallel() const { return parallel_; }

 private:
  static void run(void* context, uint32_t num_tasks,
                  void (*task)(void*, uint32_t), void* task_context) {
    static_cast<BenchThreads*>(context)->run_all(num_tasks, task, task_context);
  }
  void run_all(uint32_t num_tasks, void (*task)(void*, uint32_t),
               void* task_context) {
    {
      const std::lock_guard lock(mutex_);
      task_ = task;
      task_context_ = task_context;
      num_tasks_ = num_tasks;
      next_.store(0);
      busy_.store(static_cast<uint32_t>(threads_.size()));
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    work();
    while (busy_.load() != 0) std::this_thread::yield();
  }
  void work() {
    for (uint32_t i = next_.fetch_add(1); i < num_tasks_;
         i = next_.fetch_add(1)) {
      task_(task_context_, i);
    }
  }
  void serve() {
    uint32_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < 20000 && epoch_.load() == seen; ++spin) {
      }
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return epoch_.load() != seen; });
        seen = epoch_.load();
        if (stop_) return;
      }
      work();
      busy_.fetch_sub(1);
    }
  }

  Parallel parallel_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint32_t> epoch_ = 0;
  std::atomic<uint32_t> next_ = 0;
  std::atomic<uint32_t> busy_ = 0;
  uint32_t num_tasks_ = 0;
  void (*task_)(void*, uint32_t) = nullptr;
  void* task_context_ = nullptr;
  bool stop_ = false;
};

}  // namespace tessera::cpu
