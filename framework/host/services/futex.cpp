// SPDX-License-Identifier: Apache-2.0

#include "framework/host/services/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

#include "framework/host/services/thread_pool.hpp"

namespace tessera {
namespace {

int futex_operation(int operation, FutexScope scope) {
  return scope == FutexScope::kProcess ? operation | FUTEX_PRIVATE_FLAG
                                       : operation;
}

bool is_alone() {
  static const bool alone = available_cores() == 1;
  return alone;
}

}  // namespace

void futex_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns,
                FutexScope scope) {
  constexpr uint64_t kSecond = 1'000'000'000;
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_ns / kSecond);
  timeout.tv_nsec = static_cast<long>(timeout_ns % kSecond);
  syscall(SYS_futex, word, futex_operation(FUTEX_WAIT, scope), expected,
          timeout_ns == UINT64_MAX ? nullptr : &timeout, nullptr, 0);
}

void futex_wake(const uint32_t* word, uint32_t count, FutexScope scope) {
  const int threads = count > INT_MAX ? INT_MAX : static_cast<int>(count);
  syscall(SYS_futex, word, futex_operation(FUTEX_WAKE, scope), threads, nullptr,
          nullptr, 0);
}

void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

bool Spinner::spin() {
  // A look at the clock costs as much as some pauses.
  constexpr uint32_t kPausesPerLook = 16;
  if (is_alone()) return false;
  if (rounds_++ % kPausesPerLook == 0) {
    const auto now = std::chrono::steady_clock::now();
    if (rounds_ == 1) {
      end_ = now + std::chrono::nanoseconds(kSpinNs);
    } else if (now >= end_) {
      return false;
    }
  }
  pause_core();
  return true;
}

}  // namespace tessera
