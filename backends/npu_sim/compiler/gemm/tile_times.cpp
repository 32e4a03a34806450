// SPDX-License-Identifier: Apache-2.0
//
// The costs of the instructions that the lowering emits for a tile, by pipe.

#include "backends/npu_sim/compiler/gemm/tile_times.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr double kBuffers = 2;
constexpr double kFloatBytes = 4;
constexpr int64_t kLineBytes = 512;

double real(int64_t value) { return static_cast<double>(value); }

Transfer transfer_of(const Profile& profile, const Instruction& copy) {
  const TransferCost cost = transfer_cost_of(profile, copy);
  const double miss_rate = cost.miss_rate > 0
                               ? std::min(cost.miss_rate, cost.hit_rate)
                               : cost.hit_rate;
  return {cost.bytes, cost.bytes / cost.hit_rate, cost.bytes / miss_rate,
          cost.least_cycles};
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

// The mean of two that take turns.
Transfer mean_of(const Transfer& a, const Transfer& b) {
  return {a.bytes, (a.hit_cycles + b.hit_cycles) / 2,
          (a.miss_cycles + b.miss_cycles) / 2, a.least_cycles};
}

Transfer weight_transfer(const GemmContext& context, const TileWork& work,
                         int64_t k, int64_t packet) {
  const GemmPlan& plan = context.plan;
  Instruction weight = copy_of(weight_rectangle(plan, work, k, packet));
  weight.nd_to_nz = is_weight_rearranged(plan);
  if (plan.kind.unzips) {
    weight.opcode = Opcode::kUnzip;
    weight.n = static_cast<uint32_t>(work.n);
    weight.k = static_cast<uint32_t>(packet);
    weight.stored_bytes = static_cast<uint32_t>(
        std::max(1.0, real(work.n * packet) * plan.gemm.compression));
  }
  return transfer_of(context.profile, weight);
}

void add_loads(const GemmContext& context, const TileWork& work, int64_t packet,
               TileTimes& times) {
  const Profile& profile = context.profile;
  const GemmPlan& plan = context.plan;
  const auto input = [&](int64_t k) {
    return transfer_of(profile,
                       copy_of(input_rectangle(plan, work, k, packet)));
  };
  times.input = input(0);
  times.weight = weight_transfer(context, work, 0, packet);
  // Every other packet may begin off a line of L2.
  if (bytes_of_elements(plan.kind.cube, packet) % kLineBytes == 0 ||
      work.k <= packet) {
    return;
  }
  times.input = mean_of(times.input, input(packet));
  times.weight =
      mean_of(times.weight, weight_transfer(context, work, packet, packet));
}

// Steps of a packet: the loads of one run beside the product of the last, and
// a place in L0 is free again when its product is complete.
void add_products(const GemmContext& context, const TileWork& work,
                  int64_t packet, TileTimes& times) {
  const Profile& profile = context.profile;
  const Type type = context.plan.kind.cube;
  const int64_t step = std::min(context.plan.tiling.tile_k, packet);
  const double steps = real(packet) / real(step);
  times.steps = steps;
  const double work_cycles = mmad_cycles(profile, type, work.m, work.n, step);
  times.step_cube = work_cycles + profile.cube.issue_cycles;
  times.step_mte1 =
      real(fractal_bytes(work.m, step, type)) / profile.local.l1_to_l0a_rate +
      real(fractal_bytes(work.n, step, type)) / profile.local.l1_to_l0b_rate +
      2 * profile.local.load3d_cycles;
  const double both =
      times.step_mte1 + work_cycles + profile.cube.latency_cycles;
  times.compute = steps * std::max({times.step_cube, times.step_mte1,
                                    both / real(context.layout.buffers)});
}

double vector_instruction(const Profile& profile, double elements,
                          double passes) {
  const double rate = profile.vector.bytes_per_cycle / kFloatBytes;
  return passes * (elements / rate + profile.vector.issue_cycles);
}

// Over one of the sums of a tile, in the mean; the last is finished too.
double passes_of(const GemmPlan& plan, const TileTimes& times) {
  return real(plan.kind.vector_passes) / times.sums +
         (plan.kind.sum_k > 0 ? real(kGroupPasses) : 0);
}

// Further inputs of `elements`, all from DRAM.
Transfer other_inputs(const GemmContext& context, int64_t m, int64_t n) {
  Transfer all;
  const GemmPlan& plan = context.plan;
  if (plan.kind.vector_inputs == 0) return all;
  const Type out = plan.gemm.out;
  Instruction copy =
      copy_of({gm_address(Tensor::kOther, 0), m, bytes_of_elements(out, n),
               bytes_of_elements(out, plan.gemm.N)});
  all = transfer_of(context.profile, copy);
  all.scale(real(plan.kind.vector_inputs));
  all.least_cycles *= real(plan.kind.vector_inputs);
  return all;
}

double write_cycles(const GemmContext& context, int64_t m, int64_t n,
                    Type type) {
  Instruction copy =
      copy_of({gm_address(Tensor::kOutput, 0), m, bytes_of_elements(type, n),
               bytes_of_elements(type, context.plan.gemm.N)});
  copy.opcode = Opcode::kCopyOut;
  copy.dst_space = Space::kGm;
  copy.dst = gm_address(Tensor::kOutput, 0);
  return transfer_of(context.profile, copy).cycles(0, 0);
}

// L0C through the core's own vector pipe, some columns at a time.
void add_drain(const GemmContext& context, const TileWork& work,
               double dram_cycles, TileTimes& times) {
  const Profile& profile = context.profile;
  const GemmPlan& plan = context.plan;
  const bool is_sum = plan.tiling.split_k > 1;
  const int64_t columns = std::min(work.n, context.layout.epilogue_columns);
  const double chunks = real(work.n) / real(columns);
  const double elements = real(work.m * columns);
  const double write = write_cycles(context, work.m, columns,
                                    is_sum ? Type::kF32 : plan.gemm.out) /
                       times.sums;
  double vector = elements * kFloatBytes / profile.exit.l0c_to_ub_rate +
                  profile.vector.issue_cycles;
  if (!is_sum) {
    vector += vector_instruction(profile, elements, passes_of(plan, times));
  }
  // A buffer is written out before it takes the next chunk but one.
  const double once = vector + profile.vector.latency_cycles + write;
  double chunk = std::max({vector, write, once / kBuffers});
  if (!is_sum && plan.kind.vector_inputs > 0) {
    const double read =
        other_inputs(context, work.m, columns).cycles(1, dram_cycles) /
        times.sums;
    times.other_reads = chunks * read;
    const double wait = profile.global.read_latency_cycles + read;
    chunk = std::max({chunk, read, (wait + vector) / kBuffers});
  }
  times.exit = once + (chunks - 1) * chunk;
  times.exit_pace = chunks * chunk;
  times.release = times.exit - write;
}

void add_fixpipe(const GemmContext& context, const TileWork& work,
                 TileTimes& times) {
  const Profile& profile = context.profile;
  const GemmPlan& plan = context.plan;
  const bool is_wide = context.hands_over() || plan.tiling.split_k > 1;
  const int64_t rows = context.hands_over()
                           ? std::min(work.m, context.layout.epilogue_rows)
                           : work.m;
  const Type type = is_wide ? Type::kF32 : plan.gemm.out;
  Instruction fixpipe;
  fixpipe.opcode = Opcode::kFixpipe;
  fixpipe.m = static_cast<uint32_t>(rows);
  fixpipe.n = static_cast<uint32_t>(work.n);
  fixpipe.row_bytes = static_cast<uint32_t>(bytes_of_elements(type, work.n));
  fixpipe.row_stride = static_cast<uint64_t>(bytes_of_elements(
      type, context.hands_over() ? plan.tiling.tile_n : plan.gemm.N));
  fixpipe.dst_space = Space::kGm;
  times.exit =
      transfer_of(profile, fixpipe).cycles(0, 0) * real(work.m) / real(rows);
  times.exit_pace = times.release = times.exit;
}

// A tile of sums that passed through GM, in chunks of rows.
void add_siblings(const GemmContext& context, const TileWork& work,
                  double dram_cycles, TileTimes& times) {
  const Profile& profile = context.profile;
  const GemmPlan& plan = context.plan;
  const int64_t rows = std::min(context.layout.epilogue_rows, work.m);
  const double elements = real(rows * work.n);
  const Instruction sums = copy_of({gm_address(Tensor::kAccumulators, 0), rows,
                                    work.n * 4, plan.tiling.tile_n * 4});
  const Transfer others = other_inputs(context, rows, work.n);
  double read =
      transfer_of(profile, sums).cycles(0, 0) +
      others.cycles(1, dram_cycles * real(context.num_siblings())) / times.sums;
  if (plan.kind.per_token) read += profile.global.dma_issue_cycles;
  const double vector =
      vector_instruction(profile, elements, passes_of(plan, times));
  const double write =
      write_cycles(context, rows, work.n, plan.gemm.out) / times.sums;
  const double latency = others.bytes > 0
                             ? profile.global.read_latency_cycles
                             : profile.assumptions.l2_latency_cycles;
  times.read_back = read + latency;
  const double through =
      read + latency + vector + profile.vector.latency_cycles + write;
  times.chunks = std::ceil(std::ceil(real(work.m) / real(rows)) /
                           real(context.num_siblings()));
  times.chunk = std::max({read, vector, write, through / kBuffers});
  // The last two chunks have their buffers while the next packets come.
  times.other_reads = std::min(times.chunks, kBuffers) * read +
                      std::max(0.0, times.chunks - kBuffers) * times.chunk;
  times.hand_over = profile.global.write_latency_cycles +
                    profile.assumptions.cross_core_cycles;
  times.last_chunk = transfer_of(profile, sums).cycles(0, 0) +
                     profile.assumptions.l2_latency_cycles + vector +
                     profile.vector.latency_cycles + write;
}

}  // namespace

TileTimes tile_times(const GemmContext& context, const TileWork& work,
                     double dram_cycles) {
  const int64_t packet = std::min(context.plan.tiling.packet_k, work.k);
  TileTimes times;
  times.packets = real(work.k) / real(packet);
  // The packets of an even number keep their buffers from tile to tile: the
  // one with the long packets rules.
  const int64_t count = ceil_div(work.k, packet);
  times.turns = count % 2 == 0 ? real(count) : times.packets;
  add_loads(context, work, packet, times);
  add_products(context, work, packet, times);
  times.sums = real(context.plan.kind.num_sums(work.k));
  if (context.profile.exit.fixpipe) {
    add_fixpipe(context, work, times);
  } else {
    add_drain(context, work, dram_cycles, times);
  }
  if (context.hands_over()) add_siblings(context, work, dram_cycles, times);
  return times;
}

}  // namespace tessera::npu
