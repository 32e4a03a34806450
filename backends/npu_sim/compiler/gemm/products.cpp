// SPDX-License-Identifier: Apache-2.0
//
// The inner loops: packets to L1, steps to L0, sums in L0C, results out.  Each
// kind of buffer is guarded by two flags, one for "filled" and one for "free".

#include "backends/npu_sim/compiler/gemm/products.hpp"

#include <algorithm>

#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kFractalRows = 16;

// An operand of a packet in L1.
struct Operand {
  int64_t rows = 0;
  bool is_transposed = false;
  bool is_padded = false;  // K to whole fractals
};

// Where a load finds `in_packet` of K, in a packet of `packet`.
void from_l1(Instruction& load, Type type, const Operand& operand,
             int64_t in_packet, int64_t packet) {
  load.type = type;
  load.rearranging = true;
  load.transpose = operand.is_transposed;
  const int64_t rows =
      operand.is_padded ? round_up(packet, kFractalRows) : packet;
  const int64_t stride =
      kBeatBytes *
      (operand.is_transposed ? rows : round_up(operand.rows, kFractalRows));
  const int64_t first = operand.is_transposed
                            ? in_packet * kBeatBytes
                            : in_packet / fractal_k(type) * stride;
  load.src += static_cast<uint64_t>(first);
  load.row_stride = static_cast<uint64_t>(stride);
}

// K that the step at `k` of a tile takes; steps end with packets, and sums with
// steps.
int64_t step_k(const GemmContext& context, const TileWork& work, int64_t k) {
  const GemmTiling& tiling = context.plan.tiling;
  return std::min(
      {tiling.tile_k, work.k - k, tiling.packet_k - k % tiling.packet_k});
}

void emit_step(const GemmContext& context, const TileWork& work, int64_t k,
               int64_t step, int64_t packet_buffer, Emitter& out) {
  const GemmLayout& layout = context.layout;
  const GemmTiling& tiling = context.plan.tiling;
  const Type type = context.plan.kind.cube;
  const int64_t l0 = step % layout.buffers;
  const int64_t in_packet = k % tiling.packet_k;
  const int64_t count = step_k(context, work, k);
  const int64_t packet = std::min(tiling.packet_k, work.k - (k - in_packet));
  const Operand operand_a{work.m, is_input_transposed(context.plan), true};
  const Operand operand_b{work.n, is_weight_transposed(context.plan),
                          is_weight_rearranged(context.plan)};
  const int64_t a_l1 = packet_buffer * layout.a_packet_bytes;
  const int64_t b_l1 = layout.buffers * layout.a_packet_bytes +
                       packet_buffer * layout.b_packet_bytes;

  out.wait(Pipe::kCube, Pipe::kMte1, l0);
  from_l1(out.load_a(l0 * layout.a_step_bytes, a_l1, work.m, count), type,
          operand_a, in_packet, packet);
  from_l1(out.load_b(l0 * layout.b_step_bytes, b_l1, work.n, count), type,
          operand_b, in_packet, packet);
  out.set(Pipe::kMte1, Pipe::kCube, l0);
  out.wait(Pipe::kMte1, Pipe::kCube, l0);
}

TileSum sum_at(const GemmContext& context, const TileWork& work, int64_t index,
               int64_t k) {
  const int64_t sum_k = context.plan.kind.sum_k;
  return {context, work, index, sum_k > 0 ? k / sum_k : 0};
}

bool ends_sum(const GemmContext& context, const TileWork& work, int64_t k) {
  const int64_t next = k + step_k(context, work, k);
  const int64_t sum_k = context.plan.kind.sum_k;
  return next == work.k || (sum_k > 0 && next % sum_k == 0);
}

// The tile, at or before number `index` of a core, that has the core's sum of
// that number; null for a negative one.
const TileWork* tile_of_sum(const std::vector<TileWork>& tiles, int64_t index,
                            int64_t sum) {
  if (sum < 0) return nullptr;
  while (tiles[static_cast<size_t>(index)].sums_before > sum) --index;
  return &tiles[static_cast<size_t>(index)];
}

void emit_mmad(const GemmContext& context, const TileWork& work, int64_t k,
               int64_t step, const TileSum& sum, Emitter& out) {
  const GemmLayout& layout = context.layout;
  const int64_t l0 = step % layout.buffers;
  const int64_t slot = sum.index % layout.accumulators;
  const int64_t sum_k = context.plan.kind.sum_k;
  const bool is_first = sum_k > 0 ? k % sum_k == 0 : k == 0;
  if (is_first) out.wait(context.exit_pipe(), Pipe::kCube, slot);
  Instruction& mmad = out.mmad(slot * layout.accumulator_bytes, work.m, work.n,
                               step_k(context, work, k));
  mmad.type = context.plan.kind.cube;
  mmad.src = static_cast<uint64_t>(l0 * layout.a_step_bytes);
  mmad.src2 = static_cast<uint64_t>(l0 * layout.b_step_bytes);
  mmad.accumulate = !is_first;
  out.set(Pipe::kCube, Pipe::kMte1, l0);
}

void emit_weight(const GemmContext& context, const TileWork& work, int64_t dst,
                 int64_t k_begin, int64_t k, Emitter& out) {
  const GemmPlan& plan = context.plan;
  Instruction& copy =
      out.copy_in(Space::kL1, dst, weight_rectangle(plan, work, k_begin, k));
  copy.type = plan.kind.cube;
  copy.nd_to_nz = is_weight_rearranged(plan);
  if (!plan.kind.unzips) return;
  copy.opcode = Opcode::kUnzip;
  copy.n = static_cast<uint32_t>(work.n);
  copy.k = static_cast<uint32_t>(k);
  copy.stored_bytes = static_cast<uint32_t>(
      std::max(1.0, static_cast<double>(work.n * k) * plan.gemm.compression));
}

void emit_packet(const GemmContext& context, const TileWork& work, int64_t k,
                 int64_t buffer, Emitter& out) {
  const GemmLayout& layout = context.layout;
  const int64_t count = std::min(context.plan.tiling.packet_k, work.k - k);
  const int64_t k_begin = work.k_begin + k;
  out.wait(Pipe::kMte1, Pipe::kMte2, buffer);
  Instruction& a =
      out.copy_in(Space::kL1, buffer * layout.a_packet_bytes,
                  input_rectangle(context.plan, work, k_begin, count));
  a.type = context.plan.kind.cube;
  a.nd_to_nz = true;
  emit_weight(
      context, work,
      layout.buffers * layout.a_packet_bytes + buffer * layout.b_packet_bytes,
      k_begin, count, out);
  out.set(Pipe::kMte2, Pipe::kMte1, buffer);
}

// The packet after the one at `k` of tile `index`, be it the next tile's first.
// It is asked for before the steps of its predecessor: these are more than a
// pipe's queue takes, and the scalar unit would wait for them.
void emit_next_packet(const GemmContext& context,
                      const std::vector<TileWork>& tiles, int64_t index,
                      int64_t k, int64_t packet, Emitter& out) {
  const TileWork& work = tiles[static_cast<size_t>(index)];
  const int64_t next = k + context.plan.tiling.packet_k;
  const int64_t buffer = (packet + 1) % context.layout.buffers;
  if (next < work.k) {
    emit_packet(context, work, next, buffer, out);
  } else if (!is_last_of_slice(tiles, index)) {
    emit_packet(context, tiles[static_cast<size_t>(index + 1)], 0, buffer, out);
  }
}

}  // namespace

void emit_tile(const GemmContext& context, const std::vector<TileWork>& tiles,
               int64_t index, const AfterSum& after_sum, Emitter& out) {
  const TileWork& work = tiles[static_cast<size_t>(index)];
  const GemmTiling& tiling = context.plan.tiling;
  emit_scales_ahead(context, work, index, out);
  int64_t packet = work.packets_before;
  int64_t step = work.steps_before;
  for (int64_t begin = 0; begin < work.k; begin += tiling.packet_k, ++packet) {
    const int64_t buffer = packet % context.layout.buffers;
    if (begin == 0 && (index == 0 || is_last_of_slice(tiles, index - 1))) {
      emit_packet(context, work, begin, buffer, out);
    }
    emit_next_packet(context, tiles, index, begin, packet, out);
    out.wait(Pipe::kMte2, Pipe::kMte1, buffer);
    const int64_t end = std::min(work.k, begin + tiling.packet_k);
    for (int64_t k = begin; k < end; k += tiling.tile_k, ++step) {
      emit_step(context, work, k, step, buffer, out);
      const TileSum sum = sum_at(context, work, index, k);
      emit_mmad(context, work, k, step, sum, out);
      if (!ends_sum(context, work, k)) continue;
      emit_exit(context, work, tile_of_sum(tiles, index, sum.index - 2), sum,
                out);
      after_sum(sum);
    }
    out.set(Pipe::kMte1, Pipe::kMte2, buffer);
  }
}

}  // namespace tessera::npu
