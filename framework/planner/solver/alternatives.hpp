// SPDX-License-Identifier: Apache-2.0
//
// What an item of a choice could use instead.

#pragma once

#include <cstdint>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Calls visit(prefill option, decode option) for all that `item` could use at
// the sites it is at.  Of options that need unlike residents, one phase is
// changed at a time.
template <typename Visit>
void for_alternatives(const Chain& chain, uint32_t item, const Choice& choice,
                      const Visit& visit) {
  const Item& entry = chain.items[item];
  const uint32_t p = choice.options[0][item];
  const uint32_t d = choice.options[1][item];
  for (uint32_t a = entry.option_begin[0]; a < entry.option_end[0]; ++a) {
    if (chain.options[a].site != chain.options[p].site) continue;
    for (uint32_t b = entry.option_begin[1]; b < entry.option_end[1]; ++b) {
      if (chain.options[b].site != chain.options[d].site) continue;
      if (a == p && b == d) continue;
      const bool same = chain.options[a].resident == chain.options[b].resident;
      if (entry.one_resident && !same) continue;
      if (!same && a != p && b != d) continue;
      visit(a, b);
    }
  }
}

}  // namespace tessera::planner
