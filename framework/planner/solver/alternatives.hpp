// SPDX-License-Identifier: Apache-2.0
//
// What an item of a choice could use instead.

#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "framework/planner/solver/chain.hpp"

namespace tessera::planner {

// Serves one chain, which outlives it.
class Alternatives {
 public:
  explicit Alternatives(const Chain& chain);

  // Calls visit(prefill option, decode option) for all that `item` could use at
  // the sites it is at.  Of options that need unlike residents, one phase is
  // changed at a time.
  template <typename Visit>
  void visit(uint32_t item, const Choice& choice, const Visit& visit) const {
    const uint32_t p = choice.options[0][item];
    const uint32_t d = choice.options[1][item];
    const uint32_t decode_site = chain_.options[d].site;
    const size_t at = place(item, chain_.options[p].site);
    if (chain_.items[item].one_resident) {
      for (uint32_t i = pairs_.begin[at]; i < pairs_.begin[at + 1]; ++i) {
        const auto [a, b] = pairs_.entries[i];
        if (chain_.options[b].site != decode_site) continue;
        if (a != p || b != d) visit(a, b);
      }
      return;
    }
    const size_t to = place(item, decode_site);
    for (uint32_t i = prefill_.begin[at]; i < prefill_.begin[at + 1]; ++i) {
      const uint32_t a = prefill_.entries[i];
      for (uint32_t k = decode_.begin[to]; k < decode_.begin[to + 1]; ++k) {
        const uint32_t b = decode_.entries[k];
        if (a == p && b == d) continue;
        const bool shares =
            chain_.options[a].resident == chain_.options[b].resident;
        if (shares || a == p || b == d) visit(a, b);
      }
    }
  }

 private:
  template <typename Entry>
  struct Table {
    std::vector<uint32_t> begin{0};  // [item][site], and one more
    std::vector<Entry> entries;

    void end_place() { begin.push_back(static_cast<uint32_t>(entries.size())); }
  };

  size_t place(uint32_t item, uint32_t site) const {
    return size_t{item} * chain_.num_sites + site;
  }

  const Chain& chain_;
  // Of items with one resident: options of both phases that share it, by the
  // site of prefill's.
  Table<std::array<uint32_t, kNumPhases>> pairs_;
  // Of the others.
  Table<uint32_t> prefill_;
  Table<uint32_t> decode_;
};

}  // namespace tessera::planner
