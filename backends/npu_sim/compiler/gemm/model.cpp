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

  // Tiles of the busiest core, counted as whole ones, if a tile of the last
  // row or column takes that share of one.  Each core has its share of them.
  double whole(double last_row, double last_column) const {
    if (waves <= 1) return waves;
    const double fill = (rows - parts * (1 - last_row)) / rows *
                        (columns - (1 - last_column)) / columns;
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
                   tile.sums * tile.exit, tile.sums * tile.siblings()});
}

// The product itself, in stretches: results that DRAM has no time for stay in
// L2 and leave the inputs less room.
struct Replay {
  const GemmContext& context;
  const TrafficModel& model;
  const TileTimes& tile;
  const Deal& deal;

  void run(const GemmEffort& effort, GemmCost& cost) const;

 private:
  // A packet that nobody has read yet.
  PacketTimes first() const;
  // Tiles of the busiest core, as whole ones.
  double tiles(const Traffic& traffic, double steady) const;
};

PacketTimes Replay::first() const {
  Traffic cold;
  cold.input.first = model.first_input();
  cold.weight.first = model.first_weight();
  PacketTimes times = packet_times(context, tile, cold, 1);
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

double Replay::tiles(const Traffic& traffic, double steady) const {
  const auto share = [&](double rows, double columns) {
    if (rows >= 1 && columns >= 1) return 1.0;
    const TileTimes edge = narrowed(tile, rows, columns);
    return steady_tile(context, edge,
                       packet_times(context, edge, traffic, deal.busy)) /
           steady;
  };
  return deal.whole(share(deal.edges.rows, 1), share(1, deal.edges.columns));
}

void Replay::run(const GemmEffort& effort, GemmCost& cost) const {
  const Profile& profile = context.profile;
  const double most = real(profile.global.l2_bytes) * (1 - kCleanShare);
  const double drained = real(profile.global.l2_bytes) * kMeanDirtyShare;
  const double rate = profile.dram_rate();
  const double share = 1.0 / effort.stretches;
  const PacketTimes cold = first();
  double dirty = model.written_before() + effort.dirty_share * model.output();
  // What is too much has been drained to the low mark, and grew again.
  if (dirty > most) dirty = drained;
  for (int i = 0; i < effort.stretches; ++i) {
    const Traffic traffic = model.at(dirty);
    const PacketTimes packet = packet_times(context, tile, traffic, deal.busy);
    const double steady = steady_tile(context, tile, packet);
    const double count = share * tiles(traffic, steady);
    double cycles = count * steady;
    // Nothing is emptied yet while the first sum is computed.
    if (i == 0) {
      cycles += cold.mte2 - steady / tile.sums +
                packets_cycles(tile, packet) *
                    std::max(0.0, 1 / tile.sums - 1 / tile.packets);
    }
    const double reads = share * traffic.dram();
    const double spare = std::max(0.0, rate * cycles - reads);
    dirty = std::max(0.0, dirty + share * model.output() - spare);
    const double forced = dirty > most ? dirty - drained : 0;
    dirty -= forced;
    cost.cycles += std::max(cycles, (reads + forced) / rate);
    cost.cube_cycles += count * tile.packets * tile.step_cube * tile.steps;
    cost.mte1_cycles += count * tile.packets * tile.step_mte1 * tile.steps;
    cost.mte2_cycles += count * tile.packets * packet.mte2;
    cost.fixpipe_cycles += count * tile.sums * tile.exit;
    cost.dram_read_bytes += reads;
    cost.dram_write_bytes += forced;
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
                             tile_rows_of(plan.parts, plan.tiling.tile_m));
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
                             static_cast<int64_t>(deal.rows));
  GemmEffort spent = effort;
  if (traffic.fits(dirty_at_most(profile_, traffic))) spent.stretches = 1;
  Replay{context, traffic, tile, deal}.run(spent, cost);
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
