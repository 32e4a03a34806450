// SPDX-License-Identifier: Apache-2.0
//
// The host's threads, lent to plugins as parallel_for.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace tessera {

// Cores that this process may run on; at least 1.
uint32_t available_cores();

// Threads that wait for work by spinning briefly, then asleep.  Any thread.
class ThreadPool {
 public:
  using Task = void (*)(void* context, uint32_t index);

  // `num_threads` counts the caller of parallel_for; 0: available_cores().
  explicit ThreadPool(uint32_t num_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t num_threads() const {
    return static_cast<uint32_t>(workers_.size()) + 1;
  }

  // Calls task(context, i) once for each i < num_tasks and returns when all are
  // done.  Threads take the next index when they are free.  Allocates nothing.
  // While another call runs, this one has the caller's thread alone.
  void parallel_for(uint32_t num_tasks, Task task, void* context);

 private:
  // What the threads share, each on cache lines of its own.
  struct alignas(64) Job {
    Task task = nullptr;
    void* context = nullptr;
    uint32_t num_tasks = 0;
  };

  void run_worker();
  void run_tasks();
  void publish(uint32_t num_tasks, Task task, void* context);
  void wait_for_workers();
  bool enter(uint32_t* last_round);
  void leave();

  alignas(64) std::atomic<bool> busy_{false};
  Job job_;
  alignas(64) std::atomic<uint32_t> next_{0};
  // Bit 63: open; bits 32..62: round; low half: workers inside.
  alignas(64) std::atomic<uint64_t> gate_{0};
  alignas(64) std::atomic<uint32_t> round_{0};  // workers sleep on it
  std::atomic<uint32_t> sleepers_{0};
  alignas(64) std::atomic<uint32_t> done_{0};  // the caller sleeps on it
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace tessera
