// SPDX-License-Identifier: Apache-2.0
//
// Shares out chunks of work so that each thread keeps one piece of scratch.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "backends/cpu/kernels/parallel.hpp"

namespace tessera::cpu {

// Calls body(chunk, worker) for each chunk < num_chunks.  Calls with the same
// worker do not overlap, and worker < max(1, parallel.num_threads).
//
// Requires  body does not throw
template <typename Body>
void for_each_chunk(const Parallel& parallel, int64_t num_chunks,
                    const Body& body) {
  const int64_t num_threads = parallel.num_threads;
  const int64_t num_workers =
      num_chunks < num_threads ? num_chunks : num_threads;
  if (num_workers <= 1) {
    for (int64_t chunk = 0; chunk < num_chunks; ++chunk) body(chunk, 0);
    return;
  }
  std::atomic<int64_t> next{0};
  parallel_for(
      parallel, static_cast<uint32_t>(num_workers), [&](uint32_t worker) {
        for (;;) {
          // Several in a row, so that what a core prefetches past the end of
          // one is its own; fewer and fewer, so that all end together.
          int64_t begin = next.load(std::memory_order_relaxed);
          int64_t count = 0;
          do {
            count =
                std::max<int64_t>(1, (num_chunks - begin) / (4 * num_workers));
          } while (!next.compare_exchange_weak(begin, begin + count,
                                               std::memory_order_relaxed));
          if (begin >= num_chunks) return;
          for (int64_t i = 0; i < count; ++i) {
            body(begin + i, static_cast<int64_t>(worker));
          }
        }
      });
}

}  // namespace tessera::cpu
