// SPDX-License-Identifier: Apache-2.0
//
// Packets of a tile as the flags of its core let them follow each other.

#pragma once

#include <array>

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/tile_times.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"

namespace tessera::npu {

// Packets whose operands come alike: from L2, or from DRAM.
struct PacketShare {
  double share = 0;  // of all
  double mte2 = 0;
  double steady = 0;  // until the next
};

// One packet after another, in the mean; what one takes all the way through.
struct PacketTimes {
  double mte2 = 0;
  double steady = 0;   // until the next
  double through = 0;  // of one buffer, until it is free again
  std::array<PacketShare, 4> shares{};
};

// In the mean of all packets, while `cores` read at the same time and DRAM
// moves `dram_bytes` for each that is missed: two, if one has to leave for it.
PacketTimes packet_times(const GemmContext& context, const TileTimes& tile,
                         const Traffic& traffic, double cores,
                         double dram_bytes);

// The packets of one tile.
inline double packets_cycles(const TileTimes& tile, const PacketTimes& packet) {
  return tile.packets * packet.steady;
}

// One tile after another on one core.  The packets of a tile come alike if that
// core is alone: who reads an operand first does so for all of K.  Where others
// read the same, they take turns.
double steady_tile(const GemmContext& context, const TileTimes& tile,
                   const PacketTimes& packets);

}  // namespace tessera::npu
