// SPDX-License-Identifier: Apache-2.0
//
// Who streams which keys.

#pragma once

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

// What the core with the most to do has, of all works dealt out.
struct CoreShare {
  double works = 0;
  double tiles = 0;
  double full = 0;  // works whose rows fill a tile
};
CoreShare busiest_core(const AttentionPlan& plan);

}  // namespace tessera::npu
