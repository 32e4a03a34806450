// SPDX-License-Identifier: Apache-2.0
//
// Packets of a tile as the flags of its core let them follow each other.

#pragma once

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/tile_times.hpp"
#include "backends/npu_sim/compiler/gemm/traffic.hpp"

namespace tessera::npu {

// One packet after another; what one takes all the way through.
struct PacketTimes {
  double mte2 = 0;
  double steady = 0;   // until the next, in the mean
  double through = 0;  // of one buffer, until it is free again
};

// In the mean of all packets, while `cores` read at the same time.
PacketTimes packet_times(const GemmContext& context, const TileTimes& tile,
                         const Traffic& traffic, double cores);

// The packets of one tile.
inline double packets_cycles(const TileTimes& tile, const PacketTimes& packet) {
  return tile.packets * packet.steady;
}

// One tile after another on one core.
double steady_tile(const GemmContext& context, const TileTimes& tile,
                   const PacketTimes& packet);

}  // namespace tessera::npu
