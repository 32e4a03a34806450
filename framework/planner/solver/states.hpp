// SPDX-License-Identifier: Apache-2.0
//
// Where a segment can be: a site for each phase, or one site for both in chains
// whose segments are all tied.

#pragma once

#include <algorithm>
#include <cstdint>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

class States {
 public:
  explicit States(const Chain& chain)
      : num_sites_(chain.num_sites),
        all_tied_(
            std::all_of(chain.segments.begin(), chain.segments.end(),
                        [](const Segment& segment) { return segment.tied; })) {}

  uint32_t num() const {
    return all_tied_ ? num_sites_ : num_sites_ * num_sites_;
  }
  bool all_tied() const { return all_tied_; }
  uint32_t site(uint32_t phase, uint32_t state) const {
    if (all_tied_) return state;
    return phase == 0 ? state / num_sites_ : state % num_sites_;
  }
  // kNone if no state has these sites.
  uint32_t with(uint32_t prefill_site, uint32_t decode_site) const {
    if (!all_tied_) return prefill_site * num_sites_ + decode_site;
    return prefill_site == decode_site ? prefill_site : kNone;
  }
  bool allows(const Segment& segment, uint32_t state) const {
    return !segment.tied || site(0, state) == site(1, state);
  }

 private:
  uint32_t num_sites_;
  bool all_tied_;
};

}  // namespace tessera::planner
