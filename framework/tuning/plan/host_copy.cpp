// SPDX-License-Identifier: Apache-2.0

#include "framework/tuning/plan/host_copy.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace tessera {

double host_copy_ns(uint64_t bytes) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRuns = 5;
  const std::vector<std::byte> source(bytes, std::byte{1});
  std::vector<std::byte> target(bytes);
  double least = 0.0;
  for (int run = 0; run < kRuns; ++run) {
    const Clock::time_point begin = Clock::now();
    std::memcpy(target.data(), source.data(), bytes);
    const double ns =
        std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    // Read back, so that the copy is not left out.
    if (target[bytes / 2] != std::byte{1}) return 0.0;
    least = run == 0 ? ns : std::min(least, ns);
  }
  return least;
}

HostCopying::HostCopying(uint64_t bytes)
    : source_(bytes, std::byte{1}),
      target_(bytes),
      thread_([this] { copy_until_stopped(); }) {
  is_begun_.wait(false);
}

HostCopying::~HostCopying() { stop(); }

void HostCopying::copy_until_stopped() {
  is_begun_ = true;
  is_begun_.notify_one();
  do {
    std::memcpy(target_.data(), source_.data(), source_.size());
    // Another byte each time, so that no copy can be left out.
    source_.front() = static_cast<std::byte>(copies_);
    copies_ += target_.back() == std::byte{1} ? 1 : 0;
  } while (!is_stopped_.load(std::memory_order_relaxed));
}

uint64_t HostCopying::stop() {
  is_stopped_ = true;
  if (thread_.joinable()) thread_.join();
  return copies_;
}

double copy_overlap(double alone_ns, double beside_ns, double copied_ns) {
  if (copied_ns <= 0.0) return 0.0;
  return std::clamp(1.0 - (beside_ns - alone_ns) / copied_ns, 0.0, 1.0);
}

}  // namespace tessera
