// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/host_limits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "framework/bench/limits/read_loops.hpp"
#include "framework/bench/limits/thread_pages.hpp"
#include "framework/bench/statistics/wander.hpp"

namespace tessera::bench {
namespace {

// Short runs, many of them: on a busy machine one goes undisturbed.
constexpr int kPeakRepeats = 30;
constexpr double kPeakNs = 1e6;  // of one run of a peak loop, at least
// Enough to tell what lasts from noise, over the seconds that a longer run
// takes.
constexpr size_t kWanderSamples = 800;
constexpr double kWanderNs = 2e6;                     // of a sample, about
constexpr uint64_t kWanderBytes = uint64_t{1} << 19;  // of a thread
constexpr uint64_t kWanderReadBytes = uint64_t{1} << 26;
constexpr int kCopyRepeats = 4;
constexpr uint64_t kCopyBytes = 1 << 27;  // of one run of a copy, at least
constexpr uint64_t kSmallestRead = 1 << 16;

void keep_better(const Limit& limit, Limit& best) {
  if (limit.per_ns > best.per_ns) best = limit;
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
  const ThreadPages pages(pool_, uint64_t{pool_.num_threads()} * kWanderBytes,
                          false);
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

Limit HostLimits::read(uint64_t bytes, Probe probe) {
  bytes = probe_bytes(bytes);
  Limit& known = reads_[bytes];
  if (known.per_ns == 0.0 || probe == Probe::kAgain) {
    keep_better(ReadWatch(pool_, bytes).best(), known);
  }
  return known;
}

uint64_t HostLimits::probe_bytes(uint64_t bytes) {
  bytes = std::bit_floor(std::max(bytes, kSmallestRead));
  return bytes > kColdBytes / 4 ? kColdBytes : bytes;
}

Limit HostLimits::measure_copy(uint64_t bytes) {
  Limit best;
  const uint64_t passes = std::max<uint64_t>(1, kCopyBytes / bytes);
  for (const bool large : {false, true}) {
    const ThreadPages src(pool_, bytes / 2, large);
    ThreadPages dst(pool_, bytes / 2, large);
    if (src.part(0) == nullptr || dst.part(0) == nullptr) continue;
    for (int i = 0; i < kCopyRepeats; ++i) {
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
