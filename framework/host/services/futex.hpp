// SPDX-License-Identifier: Apache-2.0
//
// How a thread waits: it spins for as long as a wake-up would cost, then
// sleeps on a word of memory.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tessera {

enum class FutexScope {
  kProcess,
  kShared  // the word may lie in memory shared with another process
};

// Sleeps until `word` is woken, unless it is not `expected` any more; at most
// timeout_ns.  May return for no reason.
void futex_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns,
                FutexScope scope);

// Wakes at most `count` threads that sleep on `word`.
void futex_wake(const uint32_t* word, uint32_t count, FutexScope scope);

// Tells the core that this thread only waits.
void pause_core();

// About what a futex sleep and wake-up cost; see Spinner.
inline constexpr uint64_t kSpinNs = 50'000;

// A bounded busy wait: `Spinner spinner; while (!ready()) if
// (!spinner.spin()) sleep();`.
class Spinner {
 public:
  // False once kSpinNs have passed, or at once if there is only one core.
  bool spin();

 private:
  uint32_t rounds_ = 0;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace tessera
