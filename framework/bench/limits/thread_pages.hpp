// SPDX-License-Identifier: Apache-2.0
//
// Memory and time of work that all threads do at once.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "framework/host/services/thread_pool.hpp"

namespace tessera::bench {

// One task per thread; returns the nanoseconds until the last is done.
template <typename Task>
double time_on_all(ThreadPool& pool, Task task) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  pool.parallel_for(
      pool.num_threads(),
      [](void* context, uint32_t index) {
        (*static_cast<Task*>(context))(index);
      },
      &task);
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

// Memory in pages of one size, written first by the threads that read it.
class ThreadPages {
 public:
  // `large`: of 2 MiB where the system gives them, else 4 KiB.
  ThreadPages(ThreadPool& pool, uint64_t bytes, bool large);
  ~ThreadPages();
  ThreadPages(const ThreadPages&) = delete;
  ThreadPages& operator=(const ThreadPages&) = delete;

  // Of thread `index`; null if there was no memory.
  std::byte* part(uint32_t index) {
    return data_ == nullptr ? nullptr : data_ + index * part_;
  }
  const std::byte* part(uint32_t index) const {
    return data_ == nullptr ? nullptr : data_ + index * part_;
  }
  uint64_t part_bytes() const { return part_; }

 private:
  uint64_t part_;
  std::byte* data_ = nullptr;
};

}  // namespace tessera::bench
