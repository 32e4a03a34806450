// SPDX-License-Identifier: Apache-2.0
//
// Shares out chunks of work so that each thread keeps one piece of scratch.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/parallel.hpp"

namespace tessera::cpu {

// Chunks side by side that nobody has begun.
class alignas(64) ChunkRange {
 public:
  static constexpr int64_t kNone = -1;

  // Requires  0 <= begin <= end < 2^32
  void reset(int64_t begin, int64_t end) {
    ends_.store(packed(begin, end), std::memory_order_relaxed);
  }
  // kNone if there are none left.  Any thread.
  int64_t take_first() {
    return take([](int64_t begin, int64_t end) {
      return Taken{begin, packed(begin + 1, end)};
    });
  }
  int64_t take_last() {
    return take([](int64_t begin, int64_t end) {
      return Taken{end - 1, packed(begin, end - 1)};
    });
  }

 private:
  struct Taken {
    int64_t chunk;
    uint64_t rest;
  };
  static uint64_t packed(int64_t begin, int64_t end) {
    return static_cast<uint64_t>(begin) | static_cast<uint64_t>(end) << 32;
  }

  template <typename Choose>
  int64_t take(const Choose& choose) {
    uint64_t ends = ends_.load(std::memory_order_relaxed);
    for (;;) {
      const auto begin = static_cast<int64_t>(ends & UINT32_MAX);
      const auto end = static_cast<int64_t>(ends >> 32);
      if (begin >= end) return kNone;
      const Taken taken = choose(begin, end);
      if (ends_.compare_exchange_weak(ends, taken.rest,
                                      std::memory_order_relaxed)) {
        return taken.chunk;
      }
    }
  }

  std::atomic<uint64_t> ends_{0};
};

// Calls body(chunk, worker) for each chunk < num_chunks.  Calls with the same
// worker do not overlap, and worker < max(1, parallel.num_threads).
//
// Each worker goes through a range of its own, so that what its core fetches
// past the end of a chunk is its own too, and then helps the others from the
// far ends of theirs.
//
// Requires  num_chunks < 2^32; body does not throw
template <typename Body>
void for_each_chunk(const Parallel& parallel, int64_t num_chunks,
                    const Body& body) {
  constexpr int64_t kMaxRanges = 64;  // more workers share them
  const int64_t num_workers =
      std::min<int64_t>(num_chunks, parallel.num_threads);
  if (num_workers <= 1) {
    for (int64_t chunk = 0; chunk < num_chunks; ++chunk) body(chunk, 0);
    return;
  }
  const int64_t num_ranges = std::min(num_workers, kMaxRanges);
  std::array<ChunkRange, kMaxRanges> ranges;
  for (int64_t r = 0; r < num_ranges; ++r) {
    ranges[static_cast<size_t>(r)].reset(num_chunks * r / num_ranges,
                                         num_chunks * (r + 1) / num_ranges);
  }
  parallel_for(parallel, static_cast<uint32_t>(num_workers),
               [&](uint32_t worker) {
                 for (int64_t i = 0; i < num_ranges; ++i) {
                   ChunkRange& range =
                       ranges[static_cast<size_t>((worker + i) % num_ranges)];
                   const auto take = [&] {
                     return i == 0 ? range.take_first() : range.take_last();
                   };
                   for (int64_t chunk = take(); chunk != ChunkRange::kNone;
                        chunk = take()) {
                     body(chunk, static_cast<int64_t>(worker));
                   }
                 }
               });
}

}  // namespace tessera::cpu
