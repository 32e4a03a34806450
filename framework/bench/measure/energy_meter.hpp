// SPDX-License-Identifier: Apache-2.0
//
// Energy of the machine's processors, where the system lets programs read it.

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tessera::bench {

// The RAPL counters of all packages, as Linux's powercap shows them.  They
// count for the whole processor: what other programs do meanwhile is in them.
//
// Source  Linux, Documentation/power/powercap/powercap.rst
class EnergyMeter {
 public:
  explicit EnergyMeter(
      const std::filesystem::path& folder = "/sys/class/powercap");

  // Empty if there is a counter that may be read; else why there is none.
  const std::string& reason() const { return reason_; }

  // Energy since the last call, or since the meter was made; 0 without
  // counters.  Correct if a counter has wrapped at most once since.
  uint64_t take_nj();

 private:
  struct Counter {
    std::filesystem::path file;
    uint64_t range_uj = 0;  // 0 if unknown
    uint64_t last_uj = 0;
  };

  std::vector<Counter> counters_;
  std::string reason_;
};

}  // namespace tessera::bench
