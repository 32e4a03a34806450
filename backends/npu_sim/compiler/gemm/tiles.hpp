// SPDX-License-Identifier: Apache-2.0
//
// Which core computes which tile, in which order.

#pragma once

#include <cstdint>
#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"

namespace tessera::npu {

// One visit of a core to one accumulator tile.
struct TileWork {
  int64_t core = 0;
  int64_t row = 0;  // of the launch's input
  int64_t m = 0;
  int64_t column = 0;
  int64_t n = 0;
  int64_t k_begin = 0;
  int64_t k = 0;
  int64_t weight_index = 0;
  int64_t slice = 0;
  int64_t slice_column = 0;    // the slice's first
  int64_t slice_element = 0;   // of all weights, the slice's first
  int64_t split = 0;           // which part of a split sum
  int64_t packets_before = 0;  // of this core
  int64_t steps_before = 0;
  int64_t sums_before = 0;
};

// The tiles of each core.  Tiles are dealt out wave by wave; in one wave the
// cores stand in a rectangle of tiles that shares inputs through L2.
std::vector<std::vector<TileWork>> deal_tiles(const GemmPlan& plan);

// Whether no tile of the same slice follows number `index` of a core's.
bool is_last_of_slice(const std::vector<TileWork>& tiles, int64_t index);

inline int64_t ceil_div(int64_t value, int64_t by) {
  return (value + by - 1) / by;
}
inline int64_t round_up(int64_t value, int64_t to) {
  return ceil_div(value, to) * to;
}

}  // namespace tessera::npu
