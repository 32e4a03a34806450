// SPDX-License-Identifier: Apache-2.0
//
// What a machine does at best.

#pragma once

#include <string>

namespace tessera::bench {

// A limit and what it was measured with; 0 if unknown.
struct Limit {
  double per_ns = 0.0;  // bytes or operations
  std::string how;      // "avx512 vnni", "8 streams, 2 MiB pages"
};

}  // namespace tessera::bench
