// SPDX-License-Identifier: Apache-2.0
//
// Tile sizes that a search may look at, what each promises, and at best.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"

namespace tessera::npu {

struct Candidate {
  int64_t tile_m = 0;
  int64_t tile_n = 0;
  int64_t split_k = 1;
  int row = 0;  // among the sizes of each side
  int column = 0;
  double least_cycles = 0;
  double promise = 0;  // the same of the busiest core; not a bound
  bool is_seen = false;

  bool is_next_to(const Candidate& other) const {
    const bool is_split_alike = split_k == other.split_k;
    const int steps =
        std::abs(row - other.row) + std::abs(column - other.column);
    const auto is_double = [](int64_t a, int64_t b) {
      return a == 2 * b || b == 2 * a;
    };
    const bool is_step =
        steps == 1 || (row == other.row && is_double(tile_n, other.tile_n)) ||
        (column == other.column && is_double(tile_m, other.tile_m));
    return is_split_alike ? is_step : steps == 0;
  }
};

// All that `forced` leaves free, of long sides from `least_side` on.
std::vector<Candidate> candidates_of(const Profile& profile,
                                     const GemmPlan& plan,
                                     const PartsSummary& parts,
                                     const GemmTiling& forced,
                                     int64_t least_side);

}  // namespace tessera::npu
