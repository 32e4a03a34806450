// SPDX-License-Identifier: Apache-2.0
//
// Bulk copies as streams, and their time from a sample of their tiles.

#include "backends/npu_sim/compiler/copy_lowering.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/emitter.hpp"
#include "backends/npu_sim/compiler/gemm/tiles.hpp"
#include "backends/npu_sim/compiler/vector_lowering.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "tessera/error.hpp"

namespace tessera::npu {
namespace {

struct CopyPlan {
  Copy copy;
  int64_t cores = 0;
  int64_t tiles_across = 0;
  int64_t tiles_per_core = 0;
  int64_t num_tiles = 0;
  int64_t slots = 0;  // tiles that fit the target
  int64_t tile_bytes = 0;
};

constexpr int64_t kTilesPerSection = 256;
constexpr int64_t kLineBytes = 512;

// Whole rows, or lines of L2, of which the target holds two tiles while all
// cores have some.
void choose_tile(int64_t room, int64_t cores, Copy& copy) {
  const auto bytes_of = [&](int64_t columns) {
    return round_up((columns * bits_of(copy.type) + 7) / 8, 32);
  };
  const int64_t most = room / 2;
  if (copy.tile_columns == 0) {
    copy.tile_columns = copy.columns;
    const int64_t least_rows = std::max<int64_t>(1, copy.tile_rows);
    if (bytes_of(copy.columns) * least_rows > most) {
      const int64_t line = kLineBytes * 8 / bits_of(copy.type);
      const int64_t lines = most / least_rows / kLineBytes;
      copy.tile_columns =
          std::min(copy.columns, line * std::max<int64_t>(1, lines));
    }
  }
  if (copy.tile_rows == 0) {
    const int64_t rows = most / bytes_of(copy.tile_columns);
    // Fractals pad rows.
    const int64_t whole = copy.nd_to_nz && rows >= 16 ? rows / 16 * 16 : rows;
    copy.tile_rows = std::clamp<int64_t>(ceil_div(copy.rows, cores), 1,
                                         std::max<int64_t>(1, whole));
  }
}

CopyPlan plan_copy(const Profile& profile, const Copy& asked) {
  check_shape("copy", asked.rows, asked.columns);
  if (asked.repeats < 1 || asked.repeats > 10000) {
    throw sdk::Error(TSR_INVALID_ARGUMENT, "copy: repeats " +
                                               std::to_string(asked.repeats) +
                                               " is outside 1 to 10000");
  }
  if (asked.nd_to_nz && asked.target != CopyTarget::kL1) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "copy: fractals are made on the way to l1 alone");
  }
  CopyPlan plan;
  plan.copy = asked;
  Copy& copy = plan.copy;
  const bool to_ub = copy.target == CopyTarget::kUb;
  plan.cores = choose_cores(profile, "copy", copy.cores,
                            to_ub ? profile.vector_cores : profile.cube_cores);
  const int64_t room = to_ub ? profile.local.ub_bytes : profile.local.l1_bytes;
  choose_tile(room, plan.cores, copy);
  check_shape("copy tile", copy.tile_rows, copy.tile_columns);
  plan.tiles_across = ceil_div(copy.columns, copy.tile_columns);
  plan.num_tiles = plan.tiles_across * ceil_div(copy.rows, copy.tile_rows);
  plan.tiles_per_core = ceil_div(plan.num_tiles, plan.cores);
  const int64_t row_bytes =
      round_up((copy.tile_columns * bits_of(copy.type) + 7) / 8, 32);
  plan.tile_bytes = row_bytes * (copy.nd_to_nz ? round_up(copy.tile_rows, 16)
                                               : copy.tile_rows);
  plan.slots = room / plan.tile_bytes;
  if (plan.slots == 0) {
    throw sdk::Error(TSR_INVALID_ARGUMENT,
                     "copy: a tile of " + std::to_string(plan.tile_bytes) +
                         " bytes is beyond the " + std::to_string(room) +
                         " bytes of " + (to_ub ? "ub" : "l1") + " on " +
                         profile.name);
  }
  return plan;
}

Rectangle tile_rectangle(const Copy& copy, const CopyPlan& plan, int64_t tile) {
  const int64_t row = tile / plan.tiles_across * copy.tile_rows;
  const int64_t column = tile % plan.tiles_across * copy.tile_columns;
  const int64_t bits = bits_of(copy.type);
  const int64_t stride = (copy.columns * bits + 7) / 8;
  Rectangle rectangle;
  rectangle.address =
      gm_address(Tensor::kInput, row * stride + column * bits / 8);
  rectangle.rows = std::min(copy.tile_rows, copy.rows - row);
  rectangle.row_bytes =
      (std::min(copy.tile_columns, copy.columns - column) * bits + 7) / 8;
  rectangle.row_stride = stride;
  return rectangle;
}

Instruction& emit_tile(const CopyPlan& plan, int64_t tile, int64_t place,
                       std::vector<Instruction>& made) {
  const Copy& copy = plan.copy;
  Emitter out(made);
  Instruction& one =
      out.copy_in(copy.target == CopyTarget::kUb ? Space::kUb : Space::kL1,
                  place, tile_rectangle(copy, plan, tile));
  one.nd_to_nz = copy.nd_to_nz;
  one.type = copy.type;
  return one;
}

void emit_copies(const CopyPlan& plan, int64_t core, int64_t section,
                 std::vector<Instruction>& out) {
  const Copy& copy = plan.copy;
  const int64_t begin = core * plan.tiles_per_core;
  const int64_t mine =
      std::clamp<int64_t>(plan.num_tiles - begin, 0, plan.tiles_per_core);
  const int64_t first = section * kTilesPerSection;
  const int64_t last = std::min(mine * copy.repeats, first + kTilesPerSection);
  for (int64_t i = first; i < last; ++i) {
    emit_tile(plan, begin + i % mine, i % plan.slots * plan.tile_bytes, out);
  }
}

}  // namespace

Stream lower_copy(const Profile& profile, const Copy& copy) {
  const auto plan = std::make_shared<const CopyPlan>(plan_copy(profile, copy));
  Stream stream;
  stream.label = "copy";
  for (int64_t i = 0; i < plan->cores; ++i) {
    Stream::Core core;
    core.has_vector = copy.target == CopyTarget::kUb;
    core.has_cube = !core.has_vector;
    core.group = i;
    core.num_sections =
        ceil_div(plan->tiles_per_core * copy.repeats, kTilesPerSection);
    stream.cores.push_back(core);
  }
  stream.emit = [plan](int64_t core, int64_t section,
                       std::vector<Instruction>& out) {
    emit_copies(*plan, core, section, out);
  };
  return stream;
}

namespace {

constexpr int64_t kSampledTiles = 32;

// What a core's transfers take in the mean, all lines from DRAM or none.
struct TileMean {
  double miss_cycles = 0;
  double hit_cycles = 0;
  double miss_latency = 0;
  double hit_latency = 0;
};

TileMean mean_of_tiles(const Profile& profile, const CopyPlan& plan) {
  // Those of the first core, or some of all of them.
  const int64_t mine = std::min(plan.tiles_per_core, plan.num_tiles);
  const int64_t count = std::min(mine, kSampledTiles);
  TileMean mean;
  std::vector<Instruction> made;
  for (int64_t i = 0; i < count; ++i) {
    made.clear();
    const Instruction& one = emit_tile(plan, i * mine / count, 0, made);
    const TransferCost cost = transfer_cost_of(profile, one);
    const double miss_rate = cost.miss_rate > 0
                                 ? std::min(cost.hit_rate, cost.miss_rate)
                                 : cost.hit_rate;
    mean.miss_cycles += std::max(cost.bytes / miss_rate, cost.least_cycles);
    mean.hit_cycles += std::max(cost.bytes / cost.hit_rate, cost.least_cycles);
    mean.miss_latency = cost.miss_latency_cycles;
    mean.hit_latency = cost.hit_latency_cycles;
  }
  mean.miss_cycles /= static_cast<double>(count);
  mean.hit_cycles /= static_cast<double>(count);
  return mean;
}

}  // namespace

double copy_cycles(const Profile& profile, const Copy& copy) {
  const CopyPlan plan = plan_copy(profile, copy);
  const TileMean mean = mean_of_tiles(profile, plan);
  const auto repeats = static_cast<double>(copy.repeats);
  const double bytes = canonical_bytes_of(copy) / repeats;
  const double room = static_cast<double>(profile.global.l2_bytes) *
                      profile.assumptions.l2_capacity_share;
  // Of later visits, what L2 has lost since the one before.
  const double again = 1 - kept_share(bytes, room);
  const auto count = static_cast<double>(plan.tiles_per_core);
  const auto visit = [&](double misses) {
    return std::max(
        count * (misses * mean.miss_cycles + (1 - misses) * mean.hit_cycles),
        std::max(bytes * misses / profile.dram_rate(),
                 l2_cycles(profile, bytes)));
  };
  const double first = visit(1);
  return std::max(first + mean.miss_latency,
                  first + (repeats - 1) * visit(again) + mean.hit_latency +
                      again * (mean.miss_latency - mean.hit_latency));
}

}  // namespace tessera::npu
