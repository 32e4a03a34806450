// SPDX-License-Identifier: Apache-2.0
//
// Who streams which keys.

#pragma once

#include <array>
#include <cstddef>

#include "backends/npu_sim/compiler/attention/plan.hpp"

namespace tessera::npu {

// Fills `work`: the longest first.
//
// Requires  cores, tiles and splits are chosen.
void share_work(const Profile& profile, AttentionPlan& plan);
// How many cores share the keys of a work: enough for all cores.  Fills `load`.
void choose_splits(AttentionPlan& plan);

// As `plan.load`, of the splits that the plan has.
AttentionLoad load_of(const AttentionPlan& plan);

// What a core has of all works dealt out.
struct CoreShare {
  double works = 0;
  double tiles = 0;
  double full = 0;     // of those tiles, in works whose rows fill one
  double rows = 0;     // of each other tile, in the mean
  double missing = 0;  // keys that the last tile of a work lacks, in the mean
};
// The core with the most to do; first of two where cores have one work each,
// for then the work of most rows may take longer than that of most tiles.
struct BusiestCores {
  std::array<CoreShare, 2> shares;
  size_t count = 1;
};
BusiestCores busiest_cores(const AttentionPlan& plan);

}  // namespace tessera::npu
