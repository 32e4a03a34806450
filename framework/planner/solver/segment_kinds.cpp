// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/segment_kinds.hpp"

#include <map>
#include <utility>

namespace tessera::planner {

SegmentKinds::SegmentKinds(const Chain& chain) {
  using Signature = std::vector<std::pair<uint32_t, double>>;
  std::map<Signature, uint32_t> known;
  for (const Segment& segment : chain.segments) {
    Signature signature;
    for (uint32_t i = segment.item_begin; i < segment.item_end; ++i) {
      const Item& item = chain.items[i];
      for (uint32_t phase = 0; phase < kNumPhases; ++phase) {
        signature.emplace_back(kNone, 0.0);
        for (uint32_t o = item.option_begin[phase]; o < item.option_end[phase];
             ++o) {
          const Option& option = chain.options[o];
          signature.emplace_back(option.site, option.charge.cost);
        }
      }
    }
    const auto [at, is_new] = known.try_emplace(
        std::move(signature), static_cast<uint32_t>(known.size()));
    if (is_new) sizes_.push_back(0);
    kinds_.push_back(at->second);
    ++sizes_[at->second];
  }
}

}  // namespace tessera::planner
