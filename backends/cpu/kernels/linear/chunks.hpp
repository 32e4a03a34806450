// SPDX-License-Identifier: Apache-2.0
//
// Shares out chunks of work so that each thread keeps one piece of scratch.

#pragma once

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
          const int64_t chunk = next.fetch_add(1, std::memory_order_relaxed);
          if (chunk >= num_chunks) return;
          body(chunk, static_cast<int64_t>(worker));
        }
      });
}

}  // namespace tessera::cpu
