// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <climits>

#include "framework/host/services/futex.hpp"

namespace tessera {
namespace {

constexpr uint64_t kOpen = uint64_t{1} << 63;
constexpr uint64_t kInsideMask = UINT32_MAX;

uint32_t round_of(uint64_t gate) {
  return static_cast<uint32_t>(gate >> 32) & (UINT32_MAX >> 1);
}

const uint32_t* futex_word(const std::atomic<uint32_t>& word) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  return reinterpret_cast<const uint32_t*>(&word);
}

void prepare_worker() {
  // Signals are for the program's own threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "tessera-pool");
}

}  // namespace

uint32_t available_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  // Fails on machines with more cores than the set has room for.
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    return static_cast<uint32_t>(std::max(1, CPU_COUNT(&cores)));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(uint32_t num_threads) {
  const uint32_t count = num_threads == 0 ? available_cores() : num_threads;
  workers_.reserve(count - 1);
  for (uint32_t i = 1; i < count; ++i) {
    workers_.emplace_back([this] { run_worker(); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  round_.fetch_add(1);
  futex_wake(futex_word(round_), UINT32_MAX, FutexScope::kProcess);
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(uint32_t num_tasks, Task task, void* context) {
  if (num_tasks <= 1 || workers_.empty() ||
      busy_.exchange(true, std::memory_order_acquire)) {
    for (uint32_t i = 0; i < num_tasks; ++i) task(context, i);
    return;
  }
  publish(num_tasks, task, context);
  run_tasks();
  wait_for_workers();
  busy_.store(false, std::memory_order_release);
}

// Workers enter only through an open gate, so job_ may be written while it is
// closed and empty.
void ThreadPool::publish(uint32_t num_tasks, Task task, void* context) {
  job_.task = task;
  job_.context = context;
  job_.num_tasks = num_tasks;
  next_.store(0, std::memory_order_relaxed);
  const uint64_t round =
      (round_of(gate_.load(std::memory_order_relaxed)) + 1) & (UINT32_MAX >> 1);
  gate_.store(kOpen | round << 32, std::memory_order_release);
  // Sequentially consistent, like the other side's: either the worker sees the
  // new round before it sleeps, or this sees that it sleeps.
  round_.fetch_add(1);
  const uint32_t sleepers = sleepers_.load();
  if (sleepers > 0) {
    futex_wake(futex_word(round_), std::min(sleepers, num_tasks - 1),
               FutexScope::kProcess);
  }
}

void ThreadPool::run_tasks() {
  const Job job = job_;
  for (;;) {
    const uint32_t index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= job.num_tasks) return;
    job.task(job.context, index);
  }
}

void ThreadPool::wait_for_workers() {
  gate_.fetch_and(~kOpen);
  const auto is_empty = [this] { return (gate_.load() & kInsideMask) == 0; };
  for (Spinner spinner; !is_empty();) {
    if (spinner.spin()) continue;
    const uint32_t seen = done_.load();
    caller_sleeps_.store(true);
    if (!is_empty()) {
      futex_wait(futex_word(done_), seen, UINT64_MAX, FutexScope::kProcess);
    }
    caller_sleeps_.store(false);
  }
}

bool ThreadPool::enter(uint32_t* last_round) {
  uint64_t gate = gate_.load(std::memory_order_acquire);
  while ((gate & kOpen) != 0 && round_of(gate) != *last_round) {
    if (gate_.compare_exchange_weak(gate, gate + 1)) {
      *last_round = round_of(gate);
      return true;
    }
  }
  return false;
}

void ThreadPool::leave() {
  const uint64_t before = gate_.fetch_sub(1);
  const bool last_out = (before & kInsideMask) == 1 && (before & kOpen) == 0;
  if (last_out && caller_sleeps_.load()) {
    done_.fetch_add(1);
    futex_wake(futex_word(done_), 1, FutexScope::kProcess);
  }
}

void ThreadPool::run_worker() {
  prepare_worker();
  uint32_t last_round = 0;
  for (Spinner spinner; !stop_.load();) {
    const uint32_t seen = round_.load();
    if (enter(&last_round)) {
      run_tasks();
      leave();
      spinner = Spinner();
    } else if (!spinner.spin()) {
      sleepers_.fetch_add(1);
      if (!stop_.load()) {
        futex_wait(futex_word(round_), seen, UINT64_MAX, FutexScope::kProcess);
      }
      sleepers_.fetch_sub(1);
      spinner = Spinner();
    }
  }
}

}  // namespace tessera
