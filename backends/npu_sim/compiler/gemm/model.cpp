// SPDX-License-Identifier: Apache-2.0
//
// The launch by formula: what each pipe needs for a packet, which of them is
// the slowest, and what stays exposed at both ends.

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/gemm/epilogue.hpp"
#include "backends/npu_sim/compiler/gemm/passes.hpp"
#include "backends/npu_sim/compiler/gemm/reduce.hpp"
#include "backends/npu_sim/machine/costs.hpp"
#include "backends/npu_sim/machine/l2_cache.hpp"

namespace tessera::npu {
namespace {

// Of the loads' time, which DRAM needs before results have to wait in L2.
constexpr double kBusyShare = 0.6;

double real(int64_t value) { return static_cast<double>(value); }

struct Traffic {
  double input = 0;  // bytes to L1, all cores
  double weight = 0;
  double input_dram = 0;
  double weight_dram = 0;
  double bytes() const { return input + weight; }
  double output_dram = 0;  // written while the launch runs
  double dram() const { return input_dram + weight_dram; }
};

// Times of one full tile on its core.
struct TileTimes {
  double packets = 0;
  double cube = 0;  // of one packet
  double mte1 = 0;
  double mte2 = 0;
  double latency = 0;   // of what it brings
  double exit = 0;      // L0C is emptied
  double siblings = 0;  // the vector cores' share
};

double stored_ratio(const GemmPlan& plan) {
  return plan.kind.unzips ? plan.gemm.compression : 1;
}

// Shares of a revisit that L2 no longer holds: of the band of inputs, a wave
// later; of the weights, a sweep later.  What came in between pushed it out.
struct Revisits {
  double input = 0;
  double weight = 0;
};

// Bytes that one sweep over a band of tile rows brings to L2.
struct Sweep {
  double band = 0;  // inputs
  double weight = 0;
  double output = 0;
  double waves = 1;
};

Revisits revisits_of(const Sweep& sweep, double total, double capacity) {
  Revisits misses;
  if (total <= capacity) return misses;
  misses = {1, 1};
  for (int i = 0; i < 6; ++i) {
    const double wave =
        (sweep.weight * misses.weight + sweep.output) / sweep.waves +
        sweep.band * misses.input;
    misses.input = 1 - std::exp(-wave / capacity);
    const double all = sweep.weight * misses.weight + sweep.output +
                       sweep.band * (1 + (sweep.waves - 1) * misses.input);
    misses.weight = 1 - std::exp(-all / capacity);
  }
  return misses;
}

void add_traffic(const GemmPlan& plan, const GemmPart& part, double capacity,
                 Traffic& traffic) {
  const GemmTiling& tiling = plan.tiling;
  const double element = real(bits_of(plan.kind.cube)) / 8;
  const double K = real(plan.gemm.K) * element;
  const double rows = real(plan.tiles_m(part));
  const double columns = real(plan.tiles_n());
  const double high =
      std::min(real(std::max<int64_t>(1, tiling.swizzle)), rows);
  const double wide = std::max(1.0, real(plan.cores) / high);
  const double sweeps = std::ceil(rows / high);
  const double input = real(part.M) * K;
  Sweep sweep;
  sweep.band = high * real(tiling.tile_m) * K;
  sweep.weight = real(plan.gemm.N) * K * stored_ratio(plan);
  sweep.waves = std::max(1.0, columns / wide);
  const double output =
      real(part.M) * real(plan.gemm.N) * real(bits_of(plan.gemm.out)) / 8;
  sweep.output = output / sweeps;
  const Revisits misses =
      revisits_of(sweep, input + sweep.weight + output, capacity);
  traffic.output_dram += output;
  traffic.input += input * columns;
  traffic.weight += sweep.weight * rows;
  // Quantized inputs have just been written to L2.
  const double first = plan.kind.quantizes_input ? misses.input : 1;
  traffic.input_dram += input * (first + (sweep.waves - 1) * misses.input);
  // Widened weights too, as far as they fit.
  const double first_weight =
      plan.kind.widens_weight
          ? std::max(0.0, 1 - capacity / std::max(1.0, sweep.weight))
          : 1;
  traffic.weight_dram +=
      sweep.weight * (first_weight + (sweeps - 1) * misses.weight);
}

// Bytes of the packets that all cores have on their way.
double bytes_in_flight(const Profile& profile, const GemmPlan& plan) {
  const GemmLayout layout = layout_of(profile, plan);
  return real(plan.cores) * real(layout.a_packet_bytes + layout.b_packet_bytes);
}

// Where DRAM has no time to spare, results stay dirty and leave the least room;
// cores that read the same tile then find part of it gone.
Traffic traffic_of(const Profile& profile, const GemmPlan& plan,
                   bool is_crowded) {
  const double outputs =
      real(plan.gemm.M) * real(plan.gemm.N) * real(bits_of(plan.gemm.out)) / 8;
  const double whole = real(profile.global.l2_bytes);
  const double dirty =
      is_crowded ? std::min(outputs, whole * (1 - kCleanShare)) : 0;
  const double capacity =
      (whole - dirty) * profile.assumptions.l2_capacity_share;
  Traffic traffic;
  for (const GemmPart& part : plan.parts) {
    if (part.M > 0) add_traffic(plan, part, capacity, traffic);
  }
  if (!is_crowded) return traffic;
  const double lost = 1 - std::exp(-bytes_in_flight(profile, plan) / capacity);
  traffic.input_dram += lost * (traffic.input - traffic.input_dram);
  traffic.weight_dram += lost * (traffic.weight - traffic.weight_dram);
  return traffic;
}

double transfer_cycles(const Profile& profile, const Instruction& copy,
                       double miss_share, int64_t cores) {
  const TransferCost cost = transfer_cost_of(profile, copy);
  // Cores that miss at the same time share DRAM.
  const double missing = std::max(1.0, real(cores) * miss_share);
  const double miss_rate = std::min(
      {cost.hit_rate, cost.miss_rate > 0 ? cost.miss_rate : cost.hit_rate,
       profile.dram_rate() / missing});
  return std::max(
      cost.least_cycles,
      cost.bytes * ((1 - miss_share) / cost.hit_rate + miss_share / miss_rate));
}

Instruction copy_of(const Rectangle& rectangle) {
  Instruction copy;
  copy.opcode = Opcode::kCopyIn;
  copy.dst_space = Space::kL1;
  copy.src = rectangle.address;
  copy.m = static_cast<uint32_t>(rectangle.rows);
  copy.row_bytes = static_cast<uint32_t>(rectangle.row_bytes);
  copy.row_stride = static_cast<uint64_t>(rectangle.row_stride);
  return copy;
}

int64_t num_tiles(const GemmPlan& plan) {
  int64_t tiles = 0;
  for (const GemmPart& part : plan.parts) {
    tiles += plan.tiles_m(part) * plan.tiles_n();
  }
  return tiles;
}

double mte2_cycles(const Profile& profile, const GemmPlan& plan,
                   const Traffic& traffic, const TileWork& work) {
  const int64_t k = std::min(plan.tiling.packet_k, work.k);
  const Instruction a = copy_of(input_rectangle(plan, work, 0, k));
  Instruction b = copy_of(weight_rectangle(plan, work, 0, k));
  b.nd_to_nz = plan.gemm.layout == WeightLayout::kNd;
  if (plan.kind.unzips) {
    b.opcode = Opcode::kUnzip;
    b.n = static_cast<uint32_t>(work.n);
    b.k = static_cast<uint32_t>(k);
    b.stored_bytes = static_cast<uint32_t>(
        std::max(1.0, real(work.n * k) * plan.gemm.compression));
  }
  const auto share = [](double part, double whole) {
    return whole > 0 ? std::min(1.0, part / whole) : 0;
  };
  const int64_t busy =
      std::min(plan.cores, num_tiles(plan) * plan.tiling.split_k);
  return transfer_cycles(profile, a, share(traffic.input_dram, traffic.input),
                         plan.cores) +
         transfer_cycles(profile, b, share(traffic.weight_dram, traffic.weight),
                         busy);
}

double vector_instruction(const Profile& profile, double elements,
                          int64_t passes) {
  const double rate = profile.vector.bytes_per_cycle / 4;
  return real(passes) * (elements / rate + profile.vector.issue_cycles);
}

// L0C through the core's own vector pipe.
double drain_cycles(const Profile& profile, const GemmPlan& plan,
                    const GemmLayout& layout, const TileWork& work) {
  const double columns = real(std::min(work.n, layout.epilogue_columns));
  const double chunks = std::ceil(real(work.n) / columns);
  const double elements = real(work.m) * columns;
  const bool is_sum = plan.tiling.split_k > 1;
  const double out_bytes =
      elements * (is_sum ? 4 : real(bits_of(plan.gemm.out)) / 8);
  const double rate =
      std::min(profile.vector.ub_to_gm_rate, profile.global.l2_write_rate);
  const double penalty = row_penalty(
      profile, out_bytes / real(work.m),
      static_cast<uint64_t>(bytes_of_elements(plan.gemm.out, plan.gemm.N)), 0,
      work.m > 1);
  const double vector =
      elements * 4 / profile.exit.l0c_to_ub_rate + profile.vector.issue_cycles +
      (is_sum ? 0
              : vector_instruction(profile, elements, plan.kind.vector_passes));
  const double read = real(plan.kind.vector_inputs) * elements * 2 /
                      profile.global.l2_read_rate;
  return chunks * std::max(vector + read, out_bytes * penalty / rate) +
         profile.vector.latency_cycles;
}

double fixpipe_cycles(const Profile& profile, const GemmPlan& plan,
                      const TileWork& work, bool hands_over) {
  const bool is_wide = hands_over || plan.tiling.split_k > 1;
  const Type type = is_wide ? Type::kF32 : plan.gemm.out;
  Instruction fixpipe;
  fixpipe.opcode = Opcode::kFixpipe;
  fixpipe.m = static_cast<uint32_t>(work.m);
  fixpipe.n = static_cast<uint32_t>(work.n);
  fixpipe.row_bytes = static_cast<uint32_t>(bytes_of_elements(type, work.n));
  fixpipe.row_stride = static_cast<uint64_t>(
      hands_over ? fixpipe.row_bytes : bytes_of_elements(type, plan.gemm.N));
  fixpipe.dst_space = Space::kGm;
  const TransferCost cost = transfer_cost_of(profile, fixpipe);
  return std::max(cost.least_cycles, cost.bytes / cost.hit_rate);
}

double sibling_cycles(const Profile& profile, const GemmPlan& plan,
                      const GemmLayout& layout, const TileWork& work) {
  const double siblings = profile.unified_cores ? 1 : 2;
  const double rows = real(std::min(layout.epilogue_rows, work.m));
  const double chunks = std::ceil(std::ceil(real(work.m) / rows) / siblings);
  const double elements = rows * real(work.n);
  const double in_bytes = elements * (4 + 2 * real(plan.kind.vector_inputs));
  const double out_bytes = elements * real(bits_of(plan.gemm.out)) / 8;
  const double read = in_bytes / profile.global.l2_read_rate;
  const double vector =
      vector_instruction(profile, elements, plan.kind.vector_passes);
  const double write = out_bytes / std::min(profile.vector.ub_to_gm_rate,
                                            profile.global.l2_write_rate);
  const double loop =
      (read + vector + write + profile.assumptions.l2_latency_cycles) / 2;
  return chunks * std::max({read, vector, write, loop});
}

TileTimes times_of(const Profile& profile, const GemmPlan& plan,
                   const Traffic& traffic, const GemmContext& context,
                   const TileWork& work) {
  const GemmTiling& tiling = plan.tiling;
  const GemmLayout& layout = context.layout;
  const int64_t packet = std::min(tiling.packet_k, work.k);
  const int64_t step = std::min(tiling.tile_k, packet);
  const double steps = real(packet) / real(step);
  TileTimes times;
  times.packets = real(work.k) / real(packet);
  times.cube = mmad_cycles(profile, plan.kind.cube, work.m, work.n, step) +
               profile.cube.issue_cycles;
  times.cube *= steps;
  times.mte1 = steps * (real(fractal_bytes(work.m, step, plan.kind.cube)) /
                            profile.local.l1_to_l0a_rate +
                        real(fractal_bytes(work.n, step, plan.kind.cube)) /
                            profile.local.l1_to_l0b_rate +
                        2 * profile.local.load3d_cycles);
  times.mte2 = mte2_cycles(profile, plan, traffic, work);
  // A packet is there when the slower of its operands is.
  const double misses =
      std::max(traffic.input_dram / std::max(1.0, traffic.input),
               traffic.weight_dram / std::max(1.0, traffic.weight));
  times.latency =
      profile.assumptions.l2_latency_cycles +
      std::min(1.0, misses) * (profile.global.read_latency_cycles -
                               profile.assumptions.l2_latency_cycles);
  times.exit = profile.exit.fixpipe
                   ? fixpipe_cycles(profile, plan, work, context.hands_over())
                   : drain_cycles(profile, plan, layout, work);
  if (context.hands_over()) {
    times.siblings = sibling_cycles(profile, plan, layout, work);
  }
  return times;
}

// One tile after another on one core.
double steady_tile(const Profile& profile, const GemmLayout& layout,
                   const TileTimes& times) {
  const double buffers = real(layout.buffers);
  const double compute = std::max(times.cube, times.mte1);
  // A packet's place is free again when it has been loaded, waited for and
  // used.
  const double packet = std::max(
      {times.mte2, compute, (times.mte2 + compute + times.latency) / buffers});
  const double exposed = layout.accumulators > 1
                             ? 0
                             : times.exit + profile.cube.latency_cycles -
                                   profile.cube.issue_cycles;
  // While the accumulators are emptied, the loads go on two packets ahead.
  const double hidden =
      std::min(exposed, buffers * std::max(0.0, packet - compute));
  return std::max(
      {times.packets * packet + exposed - hidden, times.exit, times.siblings});
}

TileWork full_tile(const GemmPlan& plan) {
  int64_t most_rows = 0;
  for (const GemmPart& part : plan.parts) {
    most_rows = std::max(most_rows, part.M);
  }
  TileWork work;
  work.m = std::min(plan.tiling.tile_m, most_rows);
  work.n = std::min(plan.tiling.tile_n, plan.gemm.N);
  work.k = std::min(plan.gemm.K, split_share(plan.gemm.K, plan.tiling));
  return work;
}

double passes_cycles(const Profile& profile, const GemmPlan& plan) {
  const int64_t lanes = plan.cores * (profile.unified_cores ? 1 : 2);
  double cycles = 0;
  for (const Pass& pass : passes_before(profile, plan)) {
    cycles += pass_cycles(profile, pass, lanes) +
              profile.assumptions.cross_core_cycles;
  }
  if (plan.tiling.split_k == 1) return cycles;
  return cycles + reduce_cycles(profile, plan) +
         profile.assumptions.cross_core_cycles;
}

}  // namespace

namespace {

GemmCost cost_with(const Profile& profile, const GemmPlan& plan,
                   const Traffic& traffic) {
  const GemmContext context{profile, plan, layout_of(profile, plan)};
  const TileWork work = full_tile(plan);
  const TileTimes times = times_of(profile, plan, traffic, context, work);
  const double items = real(num_tiles(plan) * ceil_div(plan.gemm.K, work.k));
  const double per_core = std::ceil(items / real(plan.cores));
  const double tile = steady_tile(profile, context.layout, times);
  // Before the slowest pipe has its first packet, or after its last.
  const double startup = profile.global.read_latency_cycles +
                         profile.cube.latency_cycles +
                         std::min(times.mte2, std::max(times.cube, times.mte1));
  const double tail =
      times.exit + times.siblings + profile.global.write_latency_cycles;

  GemmCost cost;
  cost.cube_cycles = per_core * times.packets * times.cube;
  cost.mte1_cycles = per_core * times.packets * times.mte1;
  cost.mte2_cycles = per_core * times.packets * times.mte2;
  cost.fixpipe_cycles = per_core * times.exit;
  cost.dram_read_bytes = traffic.dram();
  cost.l2_read_bytes = traffic.bytes();
  const double written =
      std::max(0.0, traffic.output_dram - real(profile.global.l2_bytes));
  const double dram = (traffic.dram() + written) / profile.dram_rate();
  const double steady = per_core * tile;
  cost.dram_cycles = dram;
  cost.cycles =
      std::max(steady, dram) + startup + tail + passes_cycles(profile, plan);
  return cost;
}

}  // namespace

GemmCost cost_of_plan(const Profile& profile, const GemmPlan& plan) {
  const GemmCost cost =
      cost_with(profile, plan, traffic_of(profile, plan, false));
  const bool is_crowded =
      cost.mte2_cycles > std::max(cost.cube_cycles, cost.mte1_cycles) &&
      cost.dram_cycles > kBusyShare * cost.mte2_cycles;
  if (!is_crowded) return cost;
  return cost_with(profile, plan, traffic_of(profile, plan, true));
}

}  // namespace tessera::npu
