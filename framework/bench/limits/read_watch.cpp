// SPDX-License-Identifier: Apache-2.0

#include "framework/bench/limits/read_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace tessera::bench {
namespace {

constexpr int kRepeats = 4;
constexpr uint64_t kRunBytes = 1 << 27;  // of one run, at least

}  // namespace

ReadWatch::ReadWatch(ThreadPool& pool, uint64_t bytes)
    : pool_(&pool), passes_(std::max<uint64_t>(1, kRunBytes / bytes)) {
  for (const bool large : {false, true}) {
    auto pages = std::make_unique<ThreadPages>(pool, bytes, large);
    if (pages->part(0) == nullptr) continue;
    bool is_best = false;
    for (const ReadLoop& loop : read_loops()) {
      const double rate = rate_of(*pages, loop);
      if (rate <= best_.per_ns) continue;
      is_best = true;
      loop_ = loop;
      best_ = {rate, fmt::format("{} streams, {} pages", loop.streams,
                                 large ? "2 MiB" : "4 KiB")};
    }
    if (is_best) pages_ = std::move(pages);
  }
}

double ReadWatch::sample() {
  if (pages_ == nullptr) return 0.0;
  const double rate = rate_of(*pages_, loop_);
  best_.per_ns = std::max(best_.per_ns, rate);
  return rate;
}

double ReadWatch::rate_of(const ThreadPages& pages, const ReadLoop& loop) {
  double ns = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRepeats; ++i) {
    ns = std::min(ns, time_on_all(*pool_, [&](uint32_t thread) {
                    for (uint64_t pass = 0; pass < passes_; ++pass) {
                      loop.run(pages.part(thread), pages.part_bytes());
                    }
                  }));
  }
  return static_cast<double>(pages.part_bytes() * pool_->num_threads() *
                             passes_) /
         ns;
}

}  // namespace tessera::bench
