// SPDX-License-Identifier: Apache-2.0
//
// In which order a run takes its cases if it may end before the last.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/conformance/kit/cases.hpp"

namespace tessera::conformance {

struct RunOrder {
  std::vector<size_t> indexes;  // into the list, each once
  size_t num_essential = 0;     // of these, that run whatever they take
};

// Essential is the first case of each level.  Behind them come level 0 and, of
// each level, the first case of each kind.  Then every kernel and every kind of
// robustness has its turn, one case each, over and over; `seed` decides which
// comes when.
RunOrder order_by_need(const CaseList& cases, uint32_t seed);

}  // namespace tessera::conformance
