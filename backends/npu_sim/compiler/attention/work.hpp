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
// How many cores share the keys of a work: enough for all cores.
void choose_splits(AttentionPlan& plan);

// All works of a plan together.
struct AttentionLoad {
  double works = 0;  // before keys are split between cores
  double parts = 0;  // after that
  double tiles = 0;
  double keys = 0;
  double own_keys = 0;  // those that a work of the same head reads too, once
  double rows = 0;
  double longest = 0;  // tiles of one work
  // Of the work that takes longest, which few rows would not.
  double heaviest = 0;
  double heaviest_rows = 0;
  double heaviest_share = 1;  // own keys of its sequence, of all that are read
  double shortest = 0;
};
AttentionLoad load_of(const AttentionPlan& plan);

// What the core with the most to do has, of all works dealt out.
struct CoreShare {
  double works = 0;
  double tiles = 0;
};
CoreShare busiest_core(const AttentionPlan& plan, const AttentionLoad& load);

}  // namespace tessera::npu
