// SPDX-License-Identifier: Apache-2.0
//
// Asked for every tiling that the search looks at: few divisions, no loops.

#include "backends/npu_sim/compiler/gemm/packets.hpp"

#include <algorithm>

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

// Packets whose operands nobody has read before, or somebody has.
struct PacketCase {
  double share = 1;  // of all packets
  double input_misses = 0;
  double weight_misses = 0;
  bool is_first = false;  // of either operand
};

// What does not depend on the case.
class Packets {
 public:
  Packets(const GemmContext& context, const TileTimes& tile, double cores,
          double dram_bytes)
      : profile_(context.profile),
        tile_(tile),
        cores_(cores),
        dram_cycles_(dram_bytes / context.profile.dram_rate()),
        turns_(tile.turns / (tile.packets * real(context.layout.buffers))) {}

  void add(size_t index, const PacketCase& packet, PacketTimes& mean) const;

 private:
  const Profile& profile_;
  const TileTimes& tile_;
  double cores_;
  double dram_cycles_;  // of a byte that is missed
  double turns_;        // of one buffer, for each packet
};

void Packets::add(size_t index, const PacketCase& packet,
                  PacketTimes& mean) const {
  if (packet.share <= 0) return;
  const double readers =
      std::max(1.0, packet.is_first ? cores_ * packet.share : cores_);
  const double dram_cycles = readers * dram_cycles_;
  const double mte2 = tile_.input.cycles(packet.input_misses, dram_cycles) +
                      tile_.weight.cycles(packet.weight_misses, dram_cycles);
  // A packet is there when the slower of its operands is.
  const double misses = std::max(packet.input_misses, packet.weight_misses);
  const double l2 = profile_.assumptions.l2_latency_cycles;
  const double latency =
      l2 + misses * (profile_.global.read_latency_cycles - l2);
  // Alone among others, a late packet keeps the cube for as long as it takes.
  const double alone = mte2 + latency;
  const double through = alone + tile_.compute;
  const double steady =
      std::max({mte2, tile_.compute,
                packet.share * turns_ * through + (1 - packet.share) * alone});
  mean.mte2 += packet.share * mte2;
  mean.steady += packet.share * steady;
  mean.through += packet.share * through;
  mean.shares.at(index) = {packet.share, mte2, steady};
}

// A sum's place in GM is free when the vector cores have read it, chunks that
// follow each other as they come; of two places, half of that shows.
double handed_cycles(const Profile& profile, const TileTimes& tile) {
  if (tile.chunks == 0) return 0;
  const double last = std::max(
      tile.exit, tile.exit / tile.chunks + (tile.chunks - 1) * tile.chunk);
  return (last + tile.hand_over + tile.read_back +
          profile.assumptions.cross_core_cycles) /
         2;
}

}  // namespace

// Who reads a packet first waits for DRAM for all of it; the others do not, so
// the mean of what both take is more than what the mean takes.
PacketTimes packet_times(const GemmContext& context, const TileTimes& tile,
                         const Traffic& traffic, double cores,
                         double dram_bytes) {
  const Packets packets(context, tile, cores, dram_bytes);
  const OperandTraffic& input = traffic.input;
  const OperandTraffic& weight = traffic.weight;
  PacketTimes mean;
  packets.add(0,
              {(1 - input.first) * (1 - weight.first), input.again,
               weight.again, false},
              mean);
  packets.add(1, {(1 - input.first) * weight.first, input.again, 1, true},
              mean);
  packets.add(2, {input.first * (1 - weight.first), 1, weight.again, true},
              mean);
  packets.add(3, {input.first * weight.first, 1, 1, true}, mean);
  if (cores > 1) {
    mean.shares = {};
    mean.shares[0] = {1, mean.mte2, mean.steady};
  }
  return mean;
}

namespace {

// A tile all of whose packets are alike; its sums, each of a share of them.
double tile_of(const GemmContext& context, const TileTimes& tile,
               const PacketShare& packet, double handed) {
  const Profile& profile = context.profile;
  const double buffers = real(context.layout.buffers);
  const double count = tile.packets / tile.sums;
  const double packets = count * packet.steady;
  const double exposed = context.layout.accumulators > 1
                             ? 0
                             : tile.release + profile.cube.latency_cycles -
                                   profile.cube.issue_cycles;
  // While the accumulators are emptied, the loads go on two packets ahead.
  const double hidden =
      std::min(exposed, buffers * std::max(0.0, packet.steady - tile.compute));
  const double loads =
      count * packet.mte2 + (profile.unified_cores ? tile.other_reads : 0);
  return tile.sums *
         std::max({packets + exposed - hidden, count * tile.compute + exposed,
                   loads, tile.exit_pace, tile.siblings(), handed});
}

}  // namespace

double steady_tile(const GemmContext& context, const TileTimes& tile,
                   const PacketTimes& packets) {
  const double handed = handed_cycles(context.profile, tile);
  double cycles = 0;
  for (const PacketShare& one : packets.shares) {
    if (one.share > 0)
      cycles += one.share * tile_of(context, tile, one, handed);
  }
  return cycles;
}

}  // namespace tessera::npu
