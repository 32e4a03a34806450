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
  double hit_rate = 1;
  double miss_rate = 1;
  double least_cycles = 0;

  // While DRAM gives it `dram_rate` bytes a cycle.
  double cycles(double miss_share, double dram_rate) const {
    const double own =
        bytes * ((1 - miss_share) / hit_rate + miss_share / miss_rate);
    return std::max({own, bytes * miss_share / dram_rate, least_cycles});
  }
  // In the mean, of `cores` that do the same at the same time; those that read
  // first share `dram_rate` among themselves.
  double cycles(const OperandTraffic& traffic, double dram_rate,
                double cores) const {
    const double readers = std::max(1.0, cores * traffic.first);
    return traffic.first * cycles(1, dram_rate / readers) +
           (1 - traffic.first) * cycles(traffic.again, dram_rate / cores);
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
  double sums = 1;  // that leave L0C one after another
  double exit = 0;  // L0C is emptied, of one of them
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

// With `dram_rate` bytes a cycle of DRAM for this core.
TileTimes tile_times(const GemmContext& context, const TileWork& work,
                     double dram_rate);

}  // namespace tessera::npu
