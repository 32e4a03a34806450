// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/host_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "framework/bench/limits/read_loops.hpp"
#include "framework/bench/statistics/wander.hpp"

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Short runs, many of them: on a busy machine one goes undisturbed.
constexpr int kPeakRepeats = 30;
constexpr double kPeakNs = 1e6;  // of one run of a peak loop, at least
// Enough to tell what lasts from noise, over the seconds that a longer run
// takes.
constexpr size_t kWanderSamples = 800;
constexpr double kWanderNs = 2e6;                     // of a sample, about
constexpr uint64_t kWanderBytes = uint64_t{1} << 19;  // of a thread
constexpr uint64_t kWanderReadBytes = uint64_t{1} << 26;
constexpr int kReadRepeats = 4;
constexpr uint64_t kReadBytes = 1 << 27;  // of one run of a read, at least
constexpr uint64_t kPageBytes = uint64_t{2} << 20;
constexpr uint64_t kSmallestRead = 1 << 16;

double nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

// One task per thread; returns the time until the last is done.
template <typename Task>
double time_on_all(ThreadPool& pool, Task task) {
  const Clock::time_point begin = Clock::now();
  pool.parallel_for(
      pool.num_threads(),
      [](void* context, uint32_t index) {
        (*static_cast<Task*>(context))(index);
      },
      &task);
  return nanoseconds_since(begin);
}

// Memory in pages of one size, written first by the threads that read it.
class Pages {
 public:
  Pages(ThreadPool& pool, uint64_t bytes, bool large)
      : part_(bytes / pool.num_threads() / 4096 * 4096) {
    const uint64_t whole = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
    data_ = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, whole));
    if (data_ == nullptr) return;
#if defined(__linux__)
    madvise(data_, whole, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
    static_cast<void>(large);
#endif
    time_on_all(
        pool, [this](uint32_t i) { std::memset(data_ + i * part_, 1, part_); });
  }
  ~Pages() { std::free(data_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

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

void keep_better(const Limit& limit, Limit& best) {
  if (limit.per_ns > best.per_ns) best = limit;
}

// The shortest time in which all threads read their parts `passes` times.
double time_read(ThreadPool& pool, const Pages& pages, const ReadLoop& loop,
                 uint64_t passes) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kReadRepeats; ++i) {
    const double ns = time_on_all(pool, [&](uint32_t thread) {
      for (uint64_t pass = 0; pass < passes; ++pass) {
        loop.run(pages.part(thread), pages.part_bytes());
      }
    });
    best = std::min(best, ns);
  }
  return best;
}

}  // namespace

HostLimits::HostLimits(uint32_t num_threads)
    : pool_(num_threads), loops_(peak_loops()) {}

int64_t HostLimits::steps_for(const PeakLoop& loop, double ns) {
  int64_t steps = 1024;
  double taken = 0.0;
  while (taken < ns) {
    steps *= 2;
    taken = time_on_all(pool_, [&](uint32_t) { loop.run(steps); });
  }
  return steps;
}

double HostLimits::wander() const { return wander_of(wander_ns_); }

void HostLimits::probe_wander() {
  const auto loop = std::find_if(
      loops_.begin(), loops_.end(),
      [](const PeakLoop& one) { return one.compute == Compute::kF32; });
  if (loop == loops_.end()) return;
  const Pages pages(pool_, uint64_t{pool_.num_threads()} * kWanderBytes, false);
  if (pages.part(0) == nullptr) return;
  const int64_t steps = steps_for(*loop, 0.25 * kWanderNs);
  const uint64_t passes =
      kWanderReadBytes / std::max<uint64_t>(pages.part_bytes(), 1);
  const ReadLoop read = read_loops().back();
  // As kernels do: products, and reads of what lies in a core's cache.
  const auto work = [&](uint32_t thread) {
    loop->run(steps);
    for (uint64_t pass = 0; pass < passes; ++pass) {
      read.run(pages.part(thread), pages.part_bytes());
    }
  };
  for (size_t i = 0; i < kWanderSamples; ++i) {
    wander_ns_.push_back(time_on_all(pool_, work));
  }
}

Limit HostLimits::measure_peak(const PeakLoop& loop) {
  const int64_t steps = steps_for(loop, kPeakNs);
  double ns = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kPeakRepeats; ++i) {
    ns = std::min(ns, time_on_all(pool_, [&](uint32_t) { loop.run(steps); }));
  }
  const double ops = loop.ops_per_step * static_cast<double>(steps) *
                     static_cast<double>(pool_.num_threads());
  return {ops / ns, loop.name};
}

Limit HostLimits::peak(Compute compute, Probe probe) {
  Limit best;
  for (const PeakLoop& loop : loops_) {
    const bool is_wider =
        compute == Compute::kBf16 && loop.compute == Compute::kF32;
    if (loop.compute != compute && !is_wider) continue;
    Limit& known = peaks_[loop.name];
    if (known.per_ns == 0.0 || probe == Probe::kAgain) {
      keep_better(measure_peak(loop), known);
    }
    keep_better(known, best);
  }
  return best;
}

Limit HostLimits::measure_read(uint64_t bytes) {
  Limit best;
  const uint64_t passes = std::max<uint64_t>(1, kReadBytes / bytes);
  for (const bool large : {false, true}) {
    const Pages pages(pool_, bytes, large);
    if (pages.part(0) == nullptr) continue;
    const auto total =
        static_cast<double>(pages.part_bytes() * pool_.num_threads() * passes);
    for (const ReadLoop& loop : read_loops()) {
      const double rate = total / time_read(pool_, pages, loop, passes);
      if (rate <= best.per_ns) continue;
      best = {rate, fmt::format("{} streams, {} pages", loop.streams,
                                large ? "2 MiB" : "4 KiB")};
    }
  }
  return best;
}

Limit HostLimits::read(uint64_t bytes, Probe probe) {
  bytes = std::bit_floor(std::max(bytes, kSmallestRead));
  if (bytes > kColdBytes / 4) bytes = kColdBytes;
  Limit& known = reads_[bytes];
  if (known.per_ns == 0.0 || probe == Probe::kAgain) {
    keep_better(measure_read(bytes), known);
  }
  return known;
}

Limit HostLimits::measure_copy(uint64_t bytes) {
  Limit best;
  const uint64_t passes = std::max<uint64_t>(1, kReadBytes / bytes);
  for (const bool large : {false, true}) {
    const Pages src(pool_, bytes / 2, large);
    Pages dst(pool_, bytes / 2, large);
    if (src.part(0) == nullptr || dst.part(0) == nullptr) continue;
    for (int i = 0; i < kReadRepeats; ++i) {
      const double ns = time_on_all(pool_, [&](uint32_t thread) {
        for (uint64_t pass = 0; pass < passes; ++pass) {
          std::memcpy(dst.part(thread), src.part(thread), src.part_bytes());
        }
      });
      const double rate = static_cast<double>(2 * src.part_bytes() * passes *
                                              pool_.num_threads()) /
                          ns;
      if (rate <= best.per_ns) continue;
      best = {rate, large ? "memcpy, 2 MiB pages" : "memcpy, 4 KiB pages"};
    }
  }
  return best;
}

Limit HostLimits::copy(uint64_t bytes, Probe probe) {
  bytes = std::clamp(std::bit_floor(bytes), kSmallestRead * 2, kColdBytes);
  Limit& known = copies_[bytes];
  if (known.per_ns == 0.0 || probe == Probe::kAgain) {
    keep_better(measure_copy(bytes), known);
  }
  return known;
}

std::map<std::string, Limit> HostLimits::all() const {
  std::map<std::string, Limit> limits = peaks_;
  for (const auto& [bytes, limit] : reads_) {
    limits[bytes == kColdBytes ? "read cold"
                               : fmt::format("read {} KiB", bytes >> 10)] =
        limit;
  }
  for (const auto& [bytes, limit] : copies_) {
    limits[fmt::format("copy {} KiB", bytes >> 10)] = limit;
  }
  return limits;
}

}  // namespace tessera::bench
