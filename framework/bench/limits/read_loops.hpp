// SPDX-License-Identifier: Apache-2.0
//
// Loops that do nothing but read: what the bandwidth of memory and caches is
// measured with.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::bench {

// How the loop walks decides what the prefetchers make of it.
struct ReadLoop {
  int streams;  // side by side
  // Reads `bytes`, rounded down to whole lines of every stream, from an address
  // that is a multiple of 64.
  void (*run)(const std::byte* data, uint64_t bytes);
};

// 1, 4 and 8 streams, with the widest loads of this processor.
std::vector<ReadLoop> read_loops();

}  // namespace tessera::bench
