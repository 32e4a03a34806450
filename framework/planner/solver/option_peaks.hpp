// SPDX-License-Identifier: Apache-2.0
//
// The peaks of every option, those of what is held for it included.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.
class OptionPeaks {
 public:
  explicit OptionPeaks(const Chain& chain);

  bool empty() const { return peaks_.empty(); }
  // Rows ascend, one peak each.
  std::span<const Use> of(uint32_t option) const {
    return {peaks_.data() + begin_[option],
            peaks_.data() + begin_[size_t{option} + 1]};
  }
  // 0 if the option has none in that row.
  double of(uint32_t option, uint32_t row) const;

 private:
  std::vector<Use> peaks_;
  std::vector<size_t> begin_;  // by option, and one more
};

}  // namespace tessera::planner
