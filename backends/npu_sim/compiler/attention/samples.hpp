// SPDX-License-Identifier: Apache-2.0
//
// Tiles of a core that stand for all, for the formula to follow.

#pragma once

#include <array>
#include <cstdint>

#include "backends/npu_sim/compiler/attention/pipeline.hpp"
#include "backends/npu_sim/compiler/attention/plan.hpp"
#include "backends/npu_sim/compiler/attention/work.hpp"

namespace tessera::npu {

// Some tiles of each of some works.
struct Sample {
  TileOfKeys tile;
  double left_out = 0;  // tiles after it, of the same work
  bool begins = false;  // what is measured for those left out
};

struct Samples {
  std::array<Sample, 32> all{};
  int64_t count = 0;
  int64_t first_work = 0;  // samples of it
  double done = 0;         // tiles, those left out included
};

// How far the first to be started is ahead of the last to be finished.
int64_t lead_of(const AttentionPlan& plan);

// All works of a core if they are known and not too many tiles; else some, as
// alike as whole tiles let them be.
Samples sample_tiles(const AttentionPlan& plan, const CoreShare& share);

}  // namespace tessera::npu
