// SPDX-License-Identifier: Apache-2.0

#include "tests/unit/backends/device/bench/limits.hpp"

#include <chrono>
#include <ctime>

namespace tessera::device_test {

Stopwatch::Stopwatch() : begin_(now()) {}

Rate Stopwatch::now() {
  return {std::chrono::duration<double>(
              std::chrono::steady_clock::now().time_since_epoch())
              .count(),
          static_cast<double>(std::clock()) / double{CLOCKS_PER_SEC}};
}

Rate Stopwatch::elapsed(uint32_t compute_units) const {
  const Rate end = now();
  return {end.wall - begin_.wall, (end.processor - begin_.processor) /
                                      static_cast<double>(compute_units)};
}

}  // namespace tessera::device_test
