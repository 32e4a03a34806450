// SPDX-License-Identifier: Apache-2.0
//
// In which order a run takes its cases if it may end before the last.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::conformance {

// What the parent knows of a case.
struct ListedCase {
  std::string id;  // "L1/ROW/..." or "L2/queue/..."
  std::string kind;
  double limit_seconds = 0.0;
};

struct RunOrder {
  std::vector<size_t> indexes;  // into the list, each once
  size_t num_essential = 0;     // those that run whatever they take
};

// Essential are level 0 and, of each level, the first case of each kind.  Then
// every kernel and every kind of robustness has its turn, one case each, over
// and over; `seed` decides which comes when.
RunOrder order_by_need(const std::vector<ListedCase>& cases, uint32_t seed);

}  // namespace tessera::conformance
