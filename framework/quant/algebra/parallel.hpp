// SPDX-License-Identifier: Apache-2.0
//
// How the algorithms here use more than one core: the caller lends them a loop.

#pragma once

#include <cstdint>
#include <functional>

namespace tessera {
class ThreadPool;
}

namespace tessera::quant {

// Calls body(i) once for each i < num_tasks, in any order, on any thread, and
// returns when all are done.  Tasks here write to disjoint places and are cut
// by shape alone, so results do not depend on the number of threads.
using ParallelFor = std::function<void(
    uint32_t num_tasks, const std::function<void(uint32_t task)>& body)>;

// On the caller's thread, in ascending order.
ParallelFor run_serially();

// On the pool's threads, which must outlive the result.
ParallelFor run_on(ThreadPool& pool);

// The pieces of `piece` items that cover `count`.
inline uint32_t num_pieces(uint64_t count, uint64_t piece) {
  return static_cast<uint32_t>((count + piece - 1) / piece);
}

}  // namespace tessera::quant
