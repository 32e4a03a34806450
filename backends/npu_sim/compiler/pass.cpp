// SPDX-License-Identifier: Apache-2.0
//
// Two buffers in UB, three pipes, flags between them.

#include "backends/npu_sim/compiler/pass.hpp"

#include <algorithm>
#include <cmath>

#include "backends/npu_sim/compiler/cache_model.hpp"
#include "backends/npu_sim/compiler/gemm_tiles.hpp"
#include "backends/npu_sim/machine/costs.hpp"

namespace tessera::npu {
namespace {

constexpr int64_t kBuffers = 2;
constexpr int64_t kLineBytes = 512;
constexpr int64_t kMostOperandBytes = 65280;  // 255 repeats of 256 bytes

int64_t operand_bytes(int64_t elements, int64_t bits) {
  return round_up((elements * bits + 7) / 8, kLineBytes);
}

Rectangle flat(Tensor tensor, int64_t first, int64_t elements, int64_t bits) {
  const int64_t bytes = (elements * bits + 7) / 8;
  return {gm_address(tensor, first * bits / 8), 1, bytes, bytes};
}

Tensor input_tensor(const Pass& pass, int64_t index) {
  return index == 0 ? pass.input : Tensor::kOther;
}

double compute_cycles(const Profile& profile, const Pass& pass,
                      int64_t elements) {
  const double count = static_cast<double>(elements);
  double cycles = pass.passes *
                  (count / pass.elements_per_cycle * (pass.conflicts ? 2 : 1) +
                   profile.vector.issue_cycles);
  cycles += pass.special_passes * (count / profile.vector.special_elements +
                                   profile.vector.issue_cycles);
  return cycles;
}

void emit_compute(const Profile& profile, const Pass& pass, int64_t at,
                  int64_t source, int64_t elements, Emitter& emit) {
  const Type type = pass.in_bits > 16 ? Type::kF32 : Type::kF16;
  // In place over what UB holds of the chunk; 16-bit work fits in any case.
  const auto one = [&](double rate) -> Instruction& {
    Instruction& made = emit.vector(at, elements, rate);
    made.type = pass.in_bits < 16 && pass.out_bits < 16 ? Type::kS8 : type;
    return made;
  };
  for (double i = 0; i < pass.passes; ++i) {
    Instruction& made = one(pass.elements_per_cycle);
    made.conflicts = pass.conflicts;
    if (pass.function == VectorFunction::kNone) continue;
    made.function = i == 0 ? pass.function : VectorFunction::kPart;
    made.src = static_cast<uint64_t>(source);
  }
  for (double i = 0; i < pass.special_passes; ++i) {
    one(profile.vector.special_elements);
  }
}

}  // namespace

int64_t pass_chunk(const Profile& profile, const Pass& pass,
                   int64_t num_lanes) {
  const int64_t bits =
      pass.num_inputs * pass.in_bits + std::max<int64_t>(pass.out_bits, 16);
  const int64_t fits =
      profile.local.ub_bytes * 8 / kBuffers / bits / kLineBytes * kLineBytes -
      kLineBytes;
  const int64_t most =
      kMostOperandBytes * 8 / std::max(pass.in_bits, pass.out_bits);
  const int64_t share = ceil_div(pass.elements, num_lanes);
  // Two steps at least, so that reading and computing overlap.
  const int64_t wanted =
      std::max<int64_t>(round_up(ceil_div(share, kBuffers), kLineBytes),
                        std::min<int64_t>(share, 2 * kLineBytes));
  return std::max<int64_t>(kLineBytes,
                           std::min({fits, most / kLineBytes * kLineBytes,
                                     round_up(wanted, kLineBytes)}));
}

void emit_pass(const Profile& profile, const Pass& pass, int64_t lane,
               int64_t num_lanes, Emitter& emit) {
  const int64_t chunk = pass_chunk(profile, pass, num_lanes);
  const int64_t share =
      round_up(ceil_div(pass.elements, num_lanes), kLineBytes);
  const int64_t begin = std::min(pass.elements, lane * share);
  const int64_t end = std::min(pass.elements, begin + share);
  const int64_t in_bytes = operand_bytes(chunk, pass.in_bits);
  const int64_t out_bytes =
      operand_bytes(chunk, std::max<int64_t>(pass.out_bits, 16));
  const int64_t buffer_bytes = pass.num_inputs * in_bytes + out_bytes;

  for (int64_t b = 0; b < kBuffers; ++b) emit.set(Pipe::kMte3, Pipe::kMte2, b);
  int64_t step = 0;
  for (int64_t at = begin; at < end; at += chunk, ++step) {
    const int64_t elements = std::min(chunk, end - at);
    const int64_t buffer = step % kBuffers;
    const int64_t ub = buffer * buffer_bytes;
    emit.wait(Pipe::kMte3, Pipe::kMte2, buffer);
    for (int64_t i = 0; i < pass.num_inputs; ++i) {
      emit.copy_in(Space::kUb, ub + i * in_bytes,
                   flat(input_tensor(pass, i), at, elements, pass.in_bits));
    }
    emit.set(Pipe::kMte2, Pipe::kVector, buffer);
    emit.wait(Pipe::kMte2, Pipe::kVector, buffer);
    const int64_t result = ub + pass.num_inputs * in_bytes;
    emit_compute(profile, pass, pass.in_bits > 16 ? ub : result, ub, elements,
                 emit);
    emit.set(Pipe::kVector, Pipe::kMte3, buffer);
    emit.wait(Pipe::kVector, Pipe::kMte3, buffer);
    if (pass.out_bits > 0) {
      emit.copy_out(result, flat(pass.output, at, elements, pass.out_bits));
    }
    emit.set(Pipe::kMte3, Pipe::kMte2, buffer);
  }
  for (int64_t b = 0; b < kBuffers; ++b) {
    emit.wait(Pipe::kMte3, Pipe::kMte2, b);
  }
}

double streamed_copy_cycles(const Profile& profile, const Instruction& copy,
                            const CopyLoop& loop) {
  const TransferCost cost = transfer_cost_of(profile, copy);
  const double miss_rate = std::min(
      {cost.hit_rate, cost.miss_rate > 0 ? cost.miss_rate : cost.hit_rate,
       profile.dram_rate() / static_cast<double>(loop.cores)});
  const double room = static_cast<double>(profile.global.l2_bytes) *
                      profile.assumptions.l2_capacity_share;
  const double again = 1 - kept_share(loop.total_bytes, room);
  const auto visit = [&](double misses) {
    const double one =
        cost.bytes * (misses / miss_rate + (1 - misses) / cost.hit_rate);
    return static_cast<double>(loop.count) * std::max(one, cost.least_cycles);
  };
  return visit(1) + static_cast<double>(loop.repeats - 1) * visit(again) +
         cost.miss_latency_cycles;
}

double pass_cycles(const Profile& profile, const Pass& pass,
                   int64_t num_lanes) {
  if (pass.elements == 0) return 0;
  const GlobalMemory& global = profile.global;
  constexpr double kDepth = kBuffers;
  const int64_t chunk = pass_chunk(profile, pass, num_lanes);
  const int64_t share = std::min(
      pass.elements, round_up(ceil_div(pass.elements, num_lanes), kLineBytes));
  const double lanes = std::ceil(static_cast<double>(pass.elements) /
                                 static_cast<double>(share));
  const double steps = static_cast<double>(ceil_div(share, chunk));
  const double count = static_cast<double>(share);
  const double in_bytes = count * static_cast<double>(pass.num_inputs) *
                          static_cast<double>(pass.in_bits) / 8;
  const double out_bytes = count * static_cast<double>(pass.out_bits) / 8;
  const double core_rate =
      global.dram_core_rate > 0
          ? std::min(global.dram_core_rate, global.l2_read_rate)
          : global.l2_read_rate;
  const double rate = std::min(core_rate, profile.dram_rate() / lanes);
  const double read =
      std::max(in_bytes / rate, steps * static_cast<double>(pass.num_inputs) *
                                    global.dma_issue_cycles);
  const double write =
      out_bytes / std::min(profile.vector.ub_to_gm_rate, global.l2_write_rate);
  const double compute =
      steps * compute_cycles(profile, pass, std::min(share, chunk));
  // A buffer is read, computed and written before it is read again.
  const double once = (read + compute + write) / steps +
                      global.read_latency_cycles +
                      profile.vector.latency_cycles;
  const double each = std::max({read, compute, write}) / steps;
  const double waits = std::max(0.0, once / kDepth - each);
  const double all = once + (steps - 1) * each +
                     std::max(0.0, steps - kDepth) * waits +
                     global.write_latency_cycles;
  // What L2 cannot keep of the results has to share DRAM with the reads.
  const double total = static_cast<double>(pass.elements) / 8;
  const double kept = static_cast<double>(global.l2_bytes);
  const double dram =
      total * static_cast<double>(pass.num_inputs * pass.in_bits) +
      std::max(0.0, total * static_cast<double>(pass.out_bits) - kept);
  return std::max(all, dram / profile.dram_rate() + global.read_latency_cycles);
}

}  // namespace tessera::npu
