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

// A work against so many keys.
struct WorkShape {
  int64_t rows = 0;
  int64_t tiles = 0;
  int64_t keys = 0;
};

// What a core has of all works dealt out.
struct CoreShare {
  double works = 0;
  double tiles = 0;
  double full = 0;     // of those tiles, in works whose rows fill one
  double rows = 0;     // of each other tile, in the mean
  double missing = 0;  // keys that the last tile of a work lacks, in the mean
  // The works themselves in their order, if they are few.
  std::array<WorkShape, 16> listed;
  size_t num_listed = 0;
};
// The core with the most to do by `weight`; and, if that is another, the one
// with the most tiles, or of cores with one work each that of most rows: how
// long few rows take depends on more than a weight says.
struct BusiestCores {
  std::array<CoreShare, 2> shares;
  size_t count = 1;
};
BusiestCores busiest_cores(const AttentionPlan& plan);

}  // namespace tessera::npu
