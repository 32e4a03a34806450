// SPDX-License-Identifier: Apache-2.0
//
// Who streams which keys.

#pragma once

#include "backends/npu_sim/compiler/attention/plan.hpp"

namespace tessera::npu {

// Fills `num_splits` and `work`: enough splits of the keys for all cores, and
// the longest work first.
//
// Requires  cores and tiles are chosen.
void share_work(const Profile& profile, AttentionPlan& plan);
// The first half of that: how many cores share the keys of a work.
void choose_splits(AttentionPlan& plan);

// All works of a plan together.
struct AttentionLoad {
  double works = 0;  // before keys are split between cores
  double parts = 0;  // after that
  double tiles = 0;
  double keys = 0;
  double rows = 0;
  double longest = 0;            // tiles of one work
  double longest_rows = 0;       // its rows
  double longest_row_tiles = 1;  // works of its sequence and head
  double shortest = 0;
};
AttentionLoad load_of(const AttentionPlan& plan);

}  // namespace tessera::npu
