// SPDX-License-Identifier: Apache-2.0
//
// The launch by formula: packets of a core as its flags let them follow each
// other, tiles as they leave it, and DRAM, which all share.

#include "backends/npu_sim/compiler/gemm/model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backends/npu_sim/compiler/gemm/packets.hpp"
#include "backends/npu_sim/compiler/gemm/passes.hpp"
#include "backends/npu_sim/compiler/gemm/reduce.hpp"
#include "backends/npu_sim/compiler/gemm/slices.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"

namespace tessera::npu {
namespace {

double real(int64_t value) { return static_cast<double>(value); }

// How far the last row and column of tiles are full, to whole fractals.
struct Edges {
  double rows = 1;
  double columns = 1;
};

// A tile of only some of the rows and columns.
TileTimes narrowed(TileTimes tile, double rows, double columns) {
  tile.compute *= rows * columns;
  tile.input.scale(rows);
  tile.weight.scale(columns);
  tile.exit *= rows * columns;
  tile.exit_pace *= rows * columns;
  tile.release *= rows * columns;
  tile.chunks *= rows;
  tile.chunk *= columns;
  tile.other_reads *= rows * columns;
  return tile;
}

TileWork work_of(const GemmPlan& plan, int64_t m, int64_t n) {
  TileWork work;
  work.m = m;
  work.n = n;
  // Of all columns and rows, the second shows how tiles lie to lines of L2.
  if (plan.tiles_n() > 1) work.column = plan.tiling.tile_n;
  if (plan.gemm.M > m) work.row = plan.tiling.tile_m;
  work.k = std::min(plan.gemm.K, split_share(plan.gemm.K, plan.tiling));
  return work;
}

double cycles_of(const Profile& profile, const GemmPlan& plan,
                 const std::vector<Pass>& passes) {
  const int64_t lanes = plan.cores * (profile.unified_cores ? 1 : 2);
  double cycles = 0;
  for (const Pass& pass : passes) {
    cycles += pass_cycles(profile, pass, lanes) +
              profile.assumptions.cross_core_cycles;
  }
  return cycles;
}

double passes_cycles(const Profile& profile, const GemmPlan& plan) {
  return cycles_of(profile, plan,
                   passes_before(profile, plan, slices_of(plan)[0]));
}

// What the first slice of a product costs more than a later one: its input is
// quantized, or comes from DRAM.
double first_slice_cycles(const Profile& profile, const GemmPlan& plan) {
  if (plan.kind.quantizes_input) {
    return cycles_of(profile, plan, {quantize_pass(profile, plan)});
  }
  return real(bytes_of_elements(plan.kind.cube, plan.gemm.M * plan.gemm.K)) /
         profile.dram_rate();
}

// What follows a core's last packet.
double tail_cycles(const GemmContext& context, const TileTimes& tile) {
  const Profile& profile = context.profile;
  double cycles = profile.cube.latency_cycles + tile.exit +
                  profile.global.write_latency_cycles;
  if (tile.chunks > 0) {
    // Chunks are taken while the next are handed over.
    const double one = tile.exit / (tile.chunks * real(context.num_siblings()));
    cycles += tile.hand_over + tile.last_chunk +
              std::max(0.0, (tile.chunks - 1) * tile.chunk - tile.exit + one);
  }
  return cycles;
}

// Tiles as they are dealt.
struct Deal {
  double waves = 0;  // tiles of the busiest core
  double cores = 1;
  double busy = 1;  // of these
  double splits = 1;
  double rows = 1;  // of tiles, all parts
  double columns = 1;
  double parts = 1;  // each of which ends with its own last row
  Edges edges;

  // A tile in the mean, if one of the last row or column takes that share of a
  // whole one.
  double mean(double last_row, double last_column) const {
    return (rows - parts * (1 - last_row)) / rows *
           (columns - (1 - last_column)) / columns;
  }

  // Tiles of the busiest core, counted as whole ones, if a tile of the last
  // row or column takes that share of one.  Each core has its share of them.
  double whole(double last_row, double last_column) const {
    if (waves <= 1) return waves;
    const double fill = mean(last_row, last_column);
    // One has more than the mean of those that are full.
    const double short_rows = last_row < 1 ? parts : 0;
    const double full =
        std::ceil((rows - short_rows) * (columns - (last_column < 1 ? 1 : 0)) *
                  splits / cores);
    const double rest = std::max(0.0, waves - full);
    return std::max(waves * fill,
                    waves - rest +
                        rest * std::max(last_row < 1 ? last_row : 0,
                                        last_column < 1 ? last_column : 0));
  }
};

Deal deal_of(const GemmPlan& plan, const PartsSummary& parts) {
  const GemmTiling& tiling = plan.tiling;
  const int64_t rows = tile_rows_of(plan.parts, tiling.tile_m);
  const int64_t columns = plan.tiles_n();
  const int64_t splits = num_splits(plan);
  const int64_t items = rows * columns * splits;
  const int64_t m = std::min(tiling.tile_m, parts.most_rows);
  const int64_t n = std::min(tiling.tile_n, plan.gemm.N);
  Deal deal;
  deal.waves = real(ceil_div(items, plan.cores));
  deal.cores = real(plan.cores);
  deal.busy = real(std::min(plan.cores, items));
  deal.splits = real(splits);
  deal.rows = real(rows);
  deal.columns = real(columns);
  deal.parts = real(parts.num_active);
  const int64_t last_m =
      (parts.rows - (rows - parts.num_active) * m) / parts.num_active;
  const auto filled = [](int64_t part, int64_t whole) {
    return std::clamp(real(round_up(part, 16)) / real(round_up(whole, 16)),
                      0.05, 1.0);
  };
  deal.edges = {filled(last_m, m), filled(plan.gemm.N - (columns - 1) * n, n)};
  return deal;
}

double dirty_at_most(const Profile& profile, const TrafficModel& traffic) {
  return std::min(real(profile.global.l2_bytes) * (1 - kCleanShare),
                  traffic.written_before() + traffic.output());
}

// If nothing missed L2 and no pipe waited for another.
double least_cycles(const TileTimes& tile, const Deal& deal) {
  const double hits = tile.input.cycles(0, 0) + tile.weight.cycles(0, 0);
  return (deal.whole(deal.edges.rows, deal.edges.columns) - 1) *
         std::max({tile.packets * std::max(hits, tile.compute),
                   tile.sums * tile.exit_pace, tile.sums * tile.siblings()});
}

// A stretch of a launch, if it were alike from end to end.
struct Phase {
  double cycles = 0;
  double tiles = 0;  // of the busiest core, as whole ones
  PacketTimes packet;
  double growth = 0;  // of the bytes that wait in L2 for DRAM
};

// The product itself, in stretches: results that DRAM has no time for stay in
// L2 and leave the inputs less room.  When too many do, L2 drains: for each
// byte that comes in one leaves, and who brings it waits for that.
struct Replay {
  const GemmContext& context;
  const TrafficModel& model;
  const TileTimes& tile;
  const Deal& deal;

  // Infinite cycles if they are known to be no less than `enough`.
  void run(const GemmEffort& effort, double enough, GemmCost& cost) const;

 private:
  // A packet that nobody has read yet.
  PacketTimes first() const;
  // Tiles of the busiest core, as whole ones, each of which takes `steady`; no
  // fewer than the other says.
  double tiles(const Traffic& traffic, double steady) const;
  double least_tiles() const;
  // What comes before the steady state that `packet` tells of.
  double begin(const PacketTimes& cold, const PacketTimes& packet,
               double steady) const;
  // `phase` has the stretch's packets and cycles without DRAM.
  void fill(const Traffic& traffic, double share, Phase& phase) const;
  // `filled`: the same while L2 does not drain.
  Phase draining(const Traffic& traffic, double share,
                 const Phase& filled) const;
  TileTimes drained_tile(const Phase& filled, double share) const;
  void add(const Phase& phase, double part, GemmCost& cost) const;
};

PacketTimes Replay::first() const {
  Traffic cold;
  cold.input.first = model.first_input();
  cold.weight.first = model.first_weight();
  PacketTimes times = packet_times(context, tile, cold, 1, 1);
  if (!model.shares_both()) return times;
  // Who brings the one to L2 finds the other there.
  const double byte = 1 / context.profile.dram_rate();
  const auto saved = [&](const Transfer& transfer, double misses) {
    return transfer.cycles(misses, byte) - transfer.cycles(0, byte);
  };
  const double hit = std::min(saved(tile.input, cold.input.first),
                              saved(tile.weight, cold.weight.first));
  times.mte2 -= hit;
  times.through -= hit;
  return times;
}

double Replay::least_tiles() const {
  const Edges& edges = deal.edges;
  return deal.waves > 1 || deal.parts > 1
             ? deal.whole(edges.rows, edges.columns)
             : deal.mean(edges.rows, edges.columns);
}

double Replay::tiles(const Traffic& traffic, double steady) const {
  if (deal.edges.rows >= 1 && deal.edges.columns >= 1) return deal.whole(1, 1);
  const auto cycles = [&](const TileTimes& one, const Traffic& comes) {
    return steady_tile(context, one,
                       packet_times(context, one, comes, deal.busy, 1));
  };
  const auto share = [&](double rows, double columns) {
    return cycles(narrowed(tile, rows, columns), traffic) / steady;
  };
  const double rows = deal.edges.rows;
  const double columns = deal.edges.columns;
  const double row = rows < 1 ? share(rows, 1) : 1;
  const double column = columns < 1 ? share(1, columns) : 1;
  if (deal.waves > 1 || deal.parts > 1) return deal.whole(row, column);
  // Cores of one wave read the same packets: who has the short tile runs ahead
  // until it brings what the others then find in L2.
  Traffic found = traffic;
  found.input.first = found.input.again = 0;
  found.weight.first = found.weight.again = 0;
  return std::max(cycles(tile, found) / steady, deal.mean(row, column));
}

// Nothing is emptied yet while the first sum is computed.
double Replay::begin(const PacketTimes& cold, const PacketTimes& packet,
                     double steady) const {
  return cold.mte2 - steady / tile.sums +
         packets_cycles(tile, packet) *
             std::max(0.0, 1 / tile.sums - 1 / tile.packets);
}

void Replay::fill(const Traffic& traffic, double share, Phase& phase) const {
  const double rate = context.profile.dram_rate();
  const double reads = share * traffic.dram();
  phase.cycles = std::max(phase.cycles, reads / rate);
  phase.growth = share * model.output() - (rate * phase.cycles - reads);
}

// Its results leave at the rate of DRAM, which all share that write at a time.
TileTimes Replay::drained_tile(const Phase& filled, double share) const {
  TileTimes slow = tile;
  const double busy_cycles = std::max(1.0, filled.cycles);
  const double tiles = deal.rows * deal.columns * share;
  const double rate = context.profile.dram_rate();
  const auto slowed = [&](double cycles, double bytes, double writers) {
    const double together = std::max(1.0, writers * cycles / busy_cycles);
    return std::max(cycles, bytes * together / rate);
  };
  const double bytes = share * model.output() / tiles / tile.sums;
  const double exits = filled.tiles * tile.sums;
  if (tile.chunks == 0) {
    slow.exit_pace =
        slowed(tile.exit_pace * exits, bytes * exits, deal.busy) / exits;
    slow.release += slow.exit_pace - tile.exit_pace;
    return slow;
  }
  const double lanes = real(context.num_siblings());
  const double chunks = exits * tile.chunks;
  slow.chunk =
      slowed(tile.chunk * chunks, bytes * exits / lanes, deal.busy * lanes) /
      chunks;
  return slow;
}

Phase Replay::draining(const Traffic& traffic, double share,
                       const Phase& filled) const {
  constexpr double kInAndOut = 2;
  const TileTimes slow = drained_tile(filled, share);
  Phase phase;
  phase.packet = packet_times(context, slow, traffic, deal.busy, kInAndOut);
  const double steady = steady_tile(context, slow, phase.packet);
  phase.tiles = filled.tiles;
  const double rate = context.profile.dram_rate();
  const double reads = share * traffic.dram();
  const double moved = kInAndOut * reads + share * model.output();
  phase.cycles = std::max(phase.tiles * steady, moved / rate);
  phase.growth = -reads - (rate * phase.cycles - moved);
  return phase;
}

void Replay::add(const Phase& phase, double part, GemmCost& cost) const {
  const double count = part * phase.tiles;
  cost.cycles += part * phase.cycles;
  cost.cube_cycles += count * tile.packets * tile.step_cube * tile.steps;
  cost.mte1_cycles += count * tile.packets * tile.step_mte1 * tile.steps;
  cost.mte2_cycles += count * tile.packets * phase.packet.mte2;
  cost.fixpipe_cycles += count * tile.sums * tile.exit_pace;
}

void Replay::run(const GemmEffort& effort, double enough,
                 GemmCost& cost) const {
  const double l2 = real(context.profile.global.l2_bytes);
  const double most = l2 * (1 - kCleanShare);
  const double least = l2 * kDrainedShare;
  const double share = 1.0 / effort.stretches;
  const PacketTimes cold = first();
  double dirty = model.written_before();
  // What is too much has been drained to the low mark, and grew again.
  if (dirty > most) dirty = l2 * kMeanDirtyShare;
  bool drains = false;
  double count = 0;
  for (int i = 0; i < effort.stretches; ++i) {
    const double ahead = effort.dirty_share * share * model.output();
    const Traffic traffic = model.at(std::min(most, dirty + ahead));
    Phase filled;
    filled.packet = packet_times(context, tile, traffic, deal.busy, 1);
    const double steady = steady_tile(context, tile, filled.packet);
    if (i == 0) {
      filled.cycles = begin(cold, filled.packet, steady);
      const double bound = share * least_tiles() * steady + filled.cycles;
      if (cost.cycles + bound >= enough) {
        cost.cycles = std::numeric_limits<double>::infinity();
        return;
      }
      count = share * tiles(traffic, steady);
    }
    filled.tiles = count;
    filled.cycles += count * steady;
    fill(traffic, share, filled);
    Phase drain;
    double left = 1;
    while (left > 0) {
      drains = dirty > most || (drains && dirty > least);
      if (drains && drain.cycles == 0) drain = draining(traffic, share, filled);
      const Phase& now = drains ? drain : filled;
      double part = left;
      if (drains && now.growth < 0) {
        part = std::min(left, (dirty - least) / -now.growth);
      } else if (!drains && now.growth > 0) {
        part = std::min(left, (most - dirty) / now.growth);
      }
      constexpr double kLeastPart = 0.02;
      part = std::min(left, std::max(part, kLeastPart));
      add(now, part, cost);
      dirty = std::max(0.0, dirty + part * now.growth);
      left -= part;
    }
    cost.dram_read_bytes += share * traffic.dram();
    cost.l2_read_bytes += share * (traffic.input.bytes + traffic.weight.bytes);
  }
  cost.cycles += cold.through - cold.mte2;
}

}  // namespace

GemmModel::GemmModel(const Profile& profile, const GemmPlan& plan)
    : profile_(profile),
      parts_(plan.parts),
      passes_cycles_(passes_cycles(profile, plan)) {}

bool GemmModel::fits(const GemmPlan& plan) const {
  const TrafficModel traffic(profile_, plan, parts_,
                             tile_rows_of(plan.parts, plan.tiling.tile_m),
                             passes_cycles_);
  return traffic.fits(dirty_at_most(profile_, traffic));
}

GemmCost GemmModel::cost(const GemmContext& context, const GemmEffort& effort,
                         double enough) const {
  const GemmPlan& plan = context.plan;
  const Deal deal = deal_of(plan, parts_);
  const int64_t m = std::min(plan.tiling.tile_m, parts_.most_rows);
  const int64_t n = std::min(plan.tiling.tile_n, plan.gemm.N);
  const TileTimes tile = tile_times(context, work_of(plan, m, n),
                                    deal.busy / profile_.dram_rate());
  GemmCost cost;
  cost.cycles = tail_cycles(context, tile) + passes_cycles_;
  if (plan.tiling.split_k > 1) {
    cost.cycles +=
        reduce_cycles(profile_, plan) + profile_.assumptions.cross_core_cycles;
  }
  if (cost.cycles + least_cycles(tile, deal) >= enough) {
    cost.cycles = std::numeric_limits<double>::infinity();
    return cost;
  }
  const TrafficModel traffic(profile_, plan, parts_,
                             static_cast<int64_t>(deal.rows), passes_cycles_);
  GemmEffort spent = effort;
  if (traffic.fits(dirty_at_most(profile_, traffic))) spent.stretches = 1;
  Replay{context, traffic, tile, deal}.run(spent, enough, cost);
  return cost;
}

GemmCost cost_of_plan(const Profile& profile, const GemmPlan& plan) {
  constexpr GemmEffort kEffort{6, 0};
  constexpr double kAnything = std::numeric_limits<double>::infinity();
  const std::vector<SliceSample> samples = sample_slices(plan);
  GemmCost cost;
  for (const SliceSample& sample : samples) {
    const GemmCost one =
        GemmModel(profile, sample.plan)
            .cost({profile, sample.plan, layout_of(profile, sample.plan)},
                  kEffort, kAnything);
    for (double GemmCost::*figure :
         {&GemmCost::cycles, &GemmCost::cube_cycles, &GemmCost::mte1_cycles,
          &GemmCost::mte2_cycles, &GemmCost::fixpipe_cycles,
          &GemmCost::dram_read_bytes, &GemmCost::dram_write_bytes,
          &GemmCost::l2_read_bytes}) {
      cost.*figure += sample.count * one.*figure;
    }
  }
  if (samples.front().plan.is_later_slice) {
    cost.cycles += first_slice_cycles(profile, plan);
  }
  return cost;
}

}  // namespace tessera::npu
