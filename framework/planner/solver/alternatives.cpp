// SPDX-License-Identifier: Apache-2.0

#include "framework/planner/solver/alternatives.hpp"

namespace tessera::planner {

Alternatives::Alternatives(const Chain& chain) : chain_(chain) {
  std::vector<std::vector<uint32_t>> holders;  // decode options by resident
  for (const Item& item : chain.items) {
    holders.assign(item.resident_end - item.resident_begin, {});
    for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
      const uint32_t resident = chain.options[b].resident;
      if (resident != kNone) holders[resident].push_back(b);
    }
    for (uint32_t site = 0; site < chain.num_sites; ++site) {
      for (uint32_t a = item.option_begin[0]; a < item.option_end[0]; ++a) {
        if (chain.options[a].site != site) continue;
        if (!item.one_resident) {
          prefill_.entries.push_back(a);
          continue;
        }
        const uint32_t resident = chain.options[a].resident;
        if (resident == kNone) continue;
        for (const uint32_t b : holders[resident]) {
          pairs_.entries.push_back({a, b});
        }
      }
      for (uint32_t b = item.option_begin[1]; b < item.option_end[1]; ++b) {
        if (item.one_resident || chain.options[b].site != site) continue;
        decode_.entries.push_back(b);
      }
      pairs_.end_place();
      prefill_.end_place();
      decode_.end_place();
    }
  }
}

}  // namespace tessera::planner
