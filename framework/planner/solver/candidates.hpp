// SPDX-License-Identifier: Apache-2.0
//
// What a branch of the search could decide next.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/planner/solver/chain.hpp"
#include "framework/planner/solver/option_peaks.hpp"
#include "framework/planner/solver/relaxation.hpp"
#include "framework/planner/solver/segment_kinds.hpp"

namespace tessera::planner {

// What a branch decides beyond its parent.
struct Decision {
  enum class Kind {
    kOption,  // `index` is an option: it must be chosen, or must not
    kSite,    // `index` is segment * num_sites + site, in `phase`
    kPeak,    // `index` is a row: its peaks stay below `level`, or reach it
    kUse,     // `index` is a site: some segment is there, or none
    kCount,   // `count` reaches `level`, or stays below it
  };
  Kind kind = Kind::kOption;
  uint32_t phase = 0;
  uint32_t index = 0;
  double level = 0.0;
  bool keep = false;      // must be chosen; for a level: reaches it
  CountLimit count = {};  // what is counted
};

// How often the last steps chose what.
struct ChoiceCounts {
  std::vector<uint32_t> options;
  uint32_t steps = 0;
};

// Options that the last steps were of two minds about: in each part of the
// chain the one chosen nearest to half of the time.
void add_doubted_options(const Chain& chain, const Restriction& restriction,
                         const ChoiceCounts& counts,
                         std::vector<Decision>* out);

// Levels of each priced row's peaks that the last steps chose, above what is
// charged.
void add_peaks(const OptionPeaks& peaks, const Restriction& restriction,
               const ChoiceCounts& counts, std::span<const double> prices,
               std::vector<Decision>* out);

// In each part of the chain, the segment that could be elsewhere at the least
// loss, as far as that stays below `cutoff`.
//
// Requires  relaxation.find_ways() after its last solve()
void add_movable_segments(const Chain& chain, const Restriction& restriction,
                          const Relaxation& relaxation, double cutoff,
                          std::vector<Decision>* out);

// Anything that is open at all; false if nothing is.
bool find_open(const Chain& chain, const Restriction& restriction,
               const Choice& choice, Decision* out);

}  // namespace tessera::planner
