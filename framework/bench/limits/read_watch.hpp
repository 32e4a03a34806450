// SPDX-License-Identifier: Apache-2.0
//
// How fast this machine reads, asked again and again: on a shared machine that
// changes from second to second, so what is held against it is timed in turn
// with it.

#pragma once

#include <cstdint>
#include <memory>

#include "framework/bench/limits/limit.hpp"
#include "framework/bench/limits/read_loops.hpp"
#include "framework/bench/limits/thread_pages.hpp"

namespace tessera::bench {

// Holds the memory that it reads.  One thread at a time.
class ReadWatch {
 public:
  // Tries 1, 4 and 8 streams a thread over pages of 4 KiB and of 2 MiB, and
  // stays with the fastest.  `pool` outlives it.
  ReadWatch(ThreadPool& pool, uint64_t bytes);

  // The fastest so far; 0 if there was no memory.
  const Limit& best() const { return best_; }
  // Bytes per nanosecond now, the fastest of four runs; 0 as best().
  double sample();

 private:
  double rate_of(const ThreadPages& pages, const ReadLoop& loop);

  ThreadPool* pool_;
  uint64_t passes_;  // of one run
  ReadLoop loop_ = {};
  std::unique_ptr<ThreadPages> pages_;
  Limit best_;
};

}  // namespace tessera::bench
