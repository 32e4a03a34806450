// SPDX-License-Identifier: Apache-2.0
//
// What one tile of a product asks of each pipe of its core.

#pragma once

#include <algorithm>

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/plan.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"

namespace tessera::npu {

// A transfer whose lines come from L2 or, a share of them, from DRAM.
struct Transfer {
  double bytes = 0;
  double hit_cycles = 0;   // if L2 holds all of it
  double miss_cycles = 0;  // if it holds nothing, and DRAM were free
  double least_cycles = 0;

  // While a byte from DRAM takes `dram_cycles`.
  double cycles(double miss_share, double dram_cycles) const {
    const double own = hit_cycles + miss_share * (miss_cycles - hit_cycles);
    return std::max({own, bytes * miss_share * dram_cycles, least_cycles});
  }
  void scale(double factor) {
    bytes *= factor;
    hit_cycles *= factor;
    miss_cycles *= factor;
  }
};

struct TileTimes {
  double packets = 0;
  double turns = 0;      // of the buffer that is taken longest, times buffers
  double steps = 0;      // of a packet
  double step_cube = 0;  // of one step: the pipe is taken
  double step_mte1 = 0;
  double compute = 0;  // of one packet in L1, cube and MTE1 together
  Transfer input;      // of one packet
  Transfer weight;
  double sums = 1;       // that leave L0C one after another
  double exit = 0;       // one of them, to its last byte
  double exit_pace = 0;  // when they follow each other
  double release = 0;    // until its place in L0C is free
  // The epilogue on vector cores, if tiles pass through GM: a chunk when they
  // follow each other, and from the cube's flag to the result's last byte.
  double chunks = 0;  // of one vector core
  double chunk = 0;
  double hand_over = 0;   // from the exit to the first chunk's read
  double read_back = 0;   // of one chunk
  double last_chunk = 0;  // with its further inputs there
  // MTE2 of a unified core reads for the epilogue, or waits for its buffers.
  double other_reads = 0;

  double siblings() const { return chunks * chunk; }  // for a sum
};

// While a byte from DRAM takes this core `dram_cycles`.
TileTimes tile_times(const GemmContext& context, const TileWork& work,
                     double dram_cycles);

}  // namespace tessera::npu
